//! A real Chromium without a window, driven over WebDriver.
//!
//! `JADWAL_TEST_CHROMEDRIVER` and `JADWAL_TEST_CHROMIUM` name other programs. Tests that use this have `browser` in
//! their path, so that `scripts/test --no-browser` can leave them out.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use serde_json::json;
use thirtyfour::{ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver};

use super::{Ending, scratch, target_folder};

/// A browser with an empty profile; it ends with all its processes when this is dropped.
pub struct Browser {
    /// To find elements, click and type with.
    pub driver: WebDriver,
    session: String,
    // Dropped after `driver`, whose own drop still talks to the process.
    _process: Ending,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts chromedriver and Chromium with a page of 1280 × 800.
    pub async fn start() -> Browser {
        super::choose_tls();
        let chromedriver = program("JADWAL_TEST_CHROMEDRIVER", &["chromedriver", "chromium.chromedriver"])
            .expect("chromedriver is installed: scripts/test installs it");
        let child = Command::new(&chromedriver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut process = Ending(child);
        let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let port: u16 = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once(" successfully on port ")?.1.trim_end_matches('.').parse().ok())
            .expect("chromedriver says its port");
        // It goes on talking, and would wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));

        let profile = scratch("browser");
        let mut capabilities = DesiredCapabilities::chrome();
        for flag in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--window-size=1280,800",
            "--lang=en-US",
            // A page that asks anything of another host is noticed: it fails.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ] {
            capabilities.add_arg(flag).unwrap();
        }
        capabilities.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
        capabilities.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        // A snap's driver knows its own browser, and cannot start another.
        if !chromedriver.ends_with("chromium.chromedriver")
            && let Some(chromium) = program("JADWAL_TEST_CHROMIUM", &["chromium", "google-chrome", "chromium-browser"])
        {
            capabilities.set_binary(&chromium.to_string_lossy()).unwrap();
        }
        let address = format!("http://127.0.0.1:{port}");
        let driver = WebDriver::new(&address, capabilities).await.expect("Chromium starts");
        let session = format!("{address}/session/{}", driver.session_id());
        Browser { driver, session, _process: process, _profile: profile }
    }

    /// Makes the page this many CSS pixels wide and high; below 600 it behaves like a phone.
    pub async fn resize(&self, width: u32, height: u32) {
        let mobile = width < 600;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        self.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": mobile })).await;
    }

    /// Light or dark, as the person's system would ask for.
    pub async fn prefer_dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Switches scripts off or on for pages loaded from now on.
    pub async fn scripts(&self, on: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": !on })).await;
    }

    /// Writes a picture of the whole page to `target/screenshots/<name>.png`.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let metrics = self.devtools("Page.getLayoutMetrics", json!({})).await;
        let number = |part: &str, name: &str| metrics[part][name].as_f64().unwrap().ceil() as u32;
        let (width, height) = (number("cssLayoutViewport", "clientWidth"), number("cssLayoutViewport", "clientHeight"));
        // A window as high as the page, so that what sticks to its edges is where it belongs.
        self.resize(width, number("cssContentSize", "height").max(height)).await;
        let picture = json!({});
        let answer = self.devtools("Page.captureScreenshot", picture).await;
        self.resize(width, height).await;
        let bytes = base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        let folder = target_folder().join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.png"));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// What the browser complained about since the last call: script errors, CSP violations, failed requests.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.driver.browser_log().await.unwrap();
        log.into_iter().filter(|entry| matches!(&*entry.level, "SEVERE" | "WARNING")).map(|e| e.message).collect()
    }

    /// Ends the session in good order. Dropping does the same, but holds the thread up.
    pub async fn quit(self) {
        let Browser { driver, _process, _profile, .. } = self;
        let _ = driver.quit().await;
    }

    async fn devtools(&self, command: &str, parameters: serde_json::Value) -> serde_json::Value {
        let answer = reqwest::Client::new()
            .post(format!("{}/goog/cdp/execute", self.session))
            .json(&json!({ "cmd": command, "params": parameters }))
            .send()
            .await
            .unwrap();
        let mut answer: serde_json::Value = answer.json().await.unwrap();
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{command}: {value}");
        value
    }
}

/// The program that an environment variable names, or the first of `names` that is on the path.
fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain([Path::new("/snap/bin").to_owned()]).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::ContentType;
    use actix_web::{App, HttpResponse, HttpServer, web};
    use thirtyfour::By;

    use super::*;

    #[actix_web::test]
    async fn a_page_is_opened_read_pictured_and_its_complaints_heard() {
        let page = || async {
            HttpResponse::Ok()
                .content_type(ContentType::html())
                .insert_header(("Content-Security-Policy", "default-src 'self'"))
                .body(format!(
                    "<!doctype html><link rel=stylesheet href={}><meta name=viewport content='width=device-width'>
                     <title>Hello</title><h1>Good day</h1><svg class=icon><use href='{}#video'/></svg>
                     <textarea rows=100></textarea>
                     <script>document.title = 'inline script ran'</script>",
                    jadwalstream::web::assets::asset_url("tabler.min.css"),
                    jadwalstream::web::assets::asset_url("icons.svg"),
                ))
        };
        let server = HttpServer::new(move || {
            App::new()
                .route("/", web::get().to(page))
                .route("/static/{hash}/{path:.*}", web::get().to(jadwalstream::web::assets::serve))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let address = format!("http://{}/", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);

        let browser = Browser::start().await;
        browser.driver.goto(&address).await.unwrap();
        assert_eq!(browser.driver.find(By::Css("h1")).await.unwrap().text().await.unwrap(), "Good day");
        assert_eq!(browser.driver.title().await.unwrap(), "Hello");
        let complaints = browser.complaints().await;
        assert!(complaints.iter().any(|line| line.contains("Content Security Policy")), "{complaints:?}");

        browser.resize(390, 844).await;
        let picture = browser.screenshot("support-a-page-on-a-phone").await;
        let size = image::image_dimensions(picture).unwrap();
        assert!(size.0 == 390 && size.1 > 1500, "the whole page: {size:?}");
        let driver = browser._process.0.id();
        browser.quit().await;
        assert!(!Path::new(&format!("/proc/{driver}")).exists());
        handle.stop(false).await;
    }
}
