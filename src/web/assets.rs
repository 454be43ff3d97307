//! Style sheets, scripts and icons that the binary carries: `/static/<content hash>/<name>`, cached for ever.
//!
//! `build.rs` gathers the files of others; our own lie in `static/own`. Debug builds read our own from disk at every
//! request, so that editing them needs no build.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use rust_embed::{EmbeddedFile, RustEmbed};

/// Where the assets live; the rest of the address is `<hash>/<name>`.
pub const PREFIX: &str = "/static";

/// This room's part of the surface.
pub const ROUTES: &[super::Route] = &[super::Route {
    method: "GET",
    path: "/static/{hash}/{path:.*}",
    access: super::Access::Public,
    handler: || web::to(serve),
}];

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/vendor"]
struct Gathered;

#[cfg(debug_assertions)]
#[derive(RustEmbed)]
#[folder = "static/own"]
struct Own;

#[derive(Clone)]
struct Asset {
    bytes: Cow<'static, [u8]>,
    gzip: Option<Cow<'static, [u8]>>,
    hash: String,
    content_type: String,
}

static GATHERED: LazyLock<HashMap<Cow<'static, str>, Asset>> = LazyLock::new(|| {
    Gathered::iter()
        .filter(|name| !name.ends_with(".gz"))
        .filter_map(|name| {
            let file = Gathered::get(&name)?;
            let gzip = Gathered::get(&format!("{name}.gz")).map(|zipped| zipped.data);
            let asset = Asset::new(&name, file, gzip);
            Some((name, asset))
        })
        .collect()
});

impl Asset {
    fn new(name: &str, file: EmbeddedFile, gzip: Option<Cow<'static, [u8]>>) -> Asset {
        let hash = hex::encode(&file.metadata.sha256_hash()[..8]);
        let mut content_type = mime_type(name).to_owned();
        if content_type.starts_with("text/") {
            content_type.push_str("; charset=utf-8");
        }
        let gzip = gzip.filter(|zipped| zipped.len() < file.data.len());
        Asset { bytes: file.data, gzip, hash, content_type }
    }

    fn find(name: &str) -> Option<Cow<'static, Asset>> {
        // All assets lie flat; from here on a name cannot be a path.
        if name.contains(['/', '\\']) {
            return None;
        }
        #[cfg(debug_assertions)]
        if let Some(file) = Own::get(name) {
            return Some(Cow::Owned(Asset::new(name, file, None)));
        }
        GATHERED.get(name).map(Cow::Borrowed)
    }
}

fn mime_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("webmanifest") => "application/manifest+json",
        Some("txt") => "text/plain",
        _ => "application/octet-stream",
    }
}

/// The address of an asset for pages: `/static/<hash>/<name>`. It changes whenever the content does.
///
/// A name that does not exist gets an address that answers 404.
pub fn asset_url(name: &str) -> String {
    match Asset::find(name) {
        Some(asset) => format!("{PREFIX}/{}/{name}", asset.hash),
        None => {
            tracing::error!(name, "a page asks for an asset that does not exist");
            format!("{PREFIX}/missing/{name}")
        }
    }
}

/// `GET` and `HEAD` of `/static/{hash}/{path:.*}`: one asset, gzipped where the browser takes it.
///
/// An address with the hash of another version answers with today's content, uncached: pages that were open during
/// an upgrade go on working.
pub async fn serve(request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let (hash, name) = path.into_inner();
    let Some(asset) = Asset::find(&name) else {
        return HttpResponse::NotFound().insert_header(nosniff()).finish();
    };
    let gzip = asset.gzip.as_ref().filter(|_| takes_gzip(&request));
    let etag = format!("\"{}{}\"", asset.hash, if gzip.is_some() { "-gz" } else { "" });
    let cache = if hash == asset.hash { "public, max-age=31536000, immutable" } else { "no-cache" };

    let unchanged = request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == etag || tag == "*");
    let mut response = HttpResponse::build(if unchanged { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    response
        .insert_header(nosniff())
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::VARY, "Accept-Encoding"))
        .insert_header((header::ETAG, etag));
    if unchanged {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, asset.content_type.as_str()));
    if gzip.is_some() {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    let body = match gzip.unwrap_or(&asset.bytes) {
        Cow::Borrowed(bytes) => web::Bytes::from_static(bytes),
        Cow::Owned(bytes) => web::Bytes::from(bytes.clone()),
    };
    response.body(body)
}

fn nosniff() -> (header::HeaderName, HeaderValue) {
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
}

fn takes_gzip(request: &HttpRequest) -> bool {
    request
        .headers()
        .get_all(header::ACCEPT_ENCODING)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|item| {
            let (coding, quality) = item.split_once(';').unwrap_or((item, ""));
            coding.trim().eq_ignore_ascii_case("gzip").then(|| quality.replace(' ', ""))
        })
        .any(|quality| !matches!(quality.as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use actix_web::dev::ServiceResponse;
    use actix_web::http::Method;
    use actix_web::{App, HttpServer, test};

    use super::*;

    async fn ask(method: Method, address: &str, headers: &[(&str, &str)]) -> ServiceResponse {
        let app = App::new()
            .route("/static/{hash}/{path:.*}", web::get().to(serve))
            .route("/static/{hash}/{path:.*}", web::head().to(serve));
        let mut request = test::TestRequest::default().method(method).uri(address);
        for header in headers {
            request = request.insert_header(*header);
        }
        test::call_service(&test::init_service(app).await, request.to_request()).await
    }

    fn header<'a>(response: &'a ServiceResponse, name: &str) -> &'a str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[actix_web::test]
    async fn an_asset_is_cached_for_ever_under_its_hash() {
        let address = asset_url("tabler.min.css");
        let response = ask(Method::GET, &address, &[]).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), "text/css; charset=utf-8");
        assert_eq!(header(&response, "cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert_eq!(header(&response, "content-encoding"), "");
        let etag = header(&response, "etag").to_owned();
        let length = test::read_body(response).await.len();
        assert!(length > 400_000, "{length}");

        let again = ask(Method::GET, &address, &[("if-none-match", &etag)]).await;
        assert_eq!(again.status(), 304);
        assert_eq!(header(&again, "etag"), etag);
        assert!(test::read_body(again).await.is_empty());
    }

    #[actix_web::test]
    async fn gzip_is_sent_to_those_who_take_it_and_only_to_them() {
        let address = asset_url("htmx.min.js");
        let zipped = ask(Method::GET, &address, &[("accept-encoding", "br, gzip;q=0.8")]).await;
        assert_eq!(header(&zipped, "content-encoding"), "gzip");
        assert_eq!(header(&zipped, "vary"), "Accept-Encoding");
        assert_eq!(header(&zipped, "content-type"), "text/javascript; charset=utf-8");
        let zipped_etag = header(&zipped, "etag").to_owned();
        let plain = ask(Method::GET, &address, &[("accept-encoding", "br, gzip; q=0")]).await;
        assert_eq!(header(&plain, "content-encoding"), "");
        assert_ne!(header(&plain, "etag"), zipped_etag);
        let mut unzipped = vec![];
        let body = test::read_body(zipped).await;
        flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut unzipped).unwrap();
        assert_eq!(unzipped, test::read_body(plain).await);
    }

    #[actix_web::test]
    async fn head_tells_the_length_and_sends_nothing() {
        let server = HttpServer::new(|| App::new().route("/static/{hash}/{path:.*}", web::head().to(serve)))
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let answer = web::block(move || {
            let mut answer = String::new();
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            let target = asset_url("uplot.min.js");
            write!(socket, "HEAD {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            socket.read_to_string(&mut answer).unwrap();
            answer
        })
        .await
        .unwrap();
        handle.stop(false).await;
        let length = GATHERED["uplot.min.js"].bytes.len();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(&format!("content-length: {length}\r\n")), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }

    #[actix_web::test]
    async fn an_address_of_another_version_answers_but_is_not_cached() {
        let response = ask(Method::GET, "/static/0123456789abcdef/icons.svg", &[]).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "cache-control"), "no-cache");
        assert_eq!(header(&response, "content-type"), "image/svg+xml");
        let sprite = test::read_body(response).await;
        let sprite = std::str::from_utf8(&sprite).unwrap();
        for icon in ["home", "player-play", "heart-rate-monitor"] {
            assert!(sprite.contains(&format!("<symbol id=\"{icon}\" ")), "{icon}");
        }
    }

    #[actix_web::test]
    async fn nothing_else_is_served() {
        for name in ["nothing.css", "htmx.min.js.gz", "../own/favicon.svg", "..%2f..%2fCargo.toml", "%2fetc%2fpasswd"] {
            let response = ask(Method::GET, &format!("/static/x/{name}"), &[]).await;
            assert_eq!(response.status(), 404, "{name}");
        }
        assert_eq!(asset_url("nothing.css"), "/static/missing/nothing.css");
    }

    #[actix_web::test]
    async fn what_templates_ask_for_is_there() {
        let sprite = String::from_utf8(GATHERED["icons.svg"].bytes.to_vec()).unwrap();
        let pages = walkdir::WalkDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/templates")).into_iter().flatten();
        for page in pages.filter(|page| page.path().extension().is_some_and(|extension| extension == "html")) {
            let text = std::fs::read_to_string(page.path()).unwrap();
            let named = |before: &'static str| {
                text.split(before).skip(1).filter_map(|rest| rest.split_once('"').map(|(name, _)| name.to_owned()))
            };
            for name in named("asset(name=\"") {
                assert!(Asset::find(&name).is_some(), "{}: asset {name}", page.path().display());
            }
            for name in named("icon name=\"").chain(named(" icon=\"")) {
                assert!(sprite.contains(&format!("id=\"{name}\"")), "{}: icon {name}", page.path().display());
            }
        }
    }
}
