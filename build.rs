//! Gathers what browsers get from the npm packages of `static/package.json`: picked files, an icon sprite and the
//! licences, each with a gzip twin, under `$OUT_DIR/vendor`; release builds put `static/own` beside them.
//! `src/web/assets.rs` embeds the folder.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Name that the pages use, and where the file lies under `static/node_modules`.
const PICKED: &[(&str, &str)] = &[
    ("tabler.min.css", "@tabler/core/dist/css/tabler.min.css"),
    ("tabler.min.js", "@tabler/core/dist/js/tabler.min.js"),
    ("htmx.min.js", "htmx.org/dist/htmx.min.js"),
    ("uplot.min.css", "uplot/dist/uPlot.min.css"),
    ("uplot.min.js", "uplot/dist/uPlot.iife.min.js"),
    ("event-calendar.min.css", "@event-calendar/build/dist/event-calendar.min.css"),
    ("event-calendar.min.js", "@event-calendar/build/dist/event-calendar.min.js"),
    ("swagger-ui.css", "swagger-ui-dist/swagger-ui.css"),
    ("swagger-ui-bundle.js", "swagger-ui-dist/swagger-ui-bundle.js"),
];

/// Packages whose licence goes out with their files.
const LICENCES: &[(&str, &str)] = &[
    ("Tabler, Tabler Icons", "@tabler/icons/LICENSE"),
    ("htmx", "htmx.org/LICENSE"),
    ("uPlot", "uplot/LICENSE"),
    ("Swagger UI", "swagger-ui-dist/LICENSE"),
    ("Swagger UI notice", "swagger-ui-dist/NOTICE"),
];

/// Of packages that come without the text of their licence, it lies under `static/licences`.
const TEXTS: &[(&str, &str)] = &[("Event Calendar", "event-calendar.txt")];

/// Icons of the sprite: names of the outline set of Tabler Icons.
const ICONS: &[&str] = &[
    "activity",
    "alert-circle",
    "alert-triangle",
    "antenna-bars-5",
    "api",
    "arrow-down",
    "arrow-left",
    "arrow-up",
    "arrows-sort",
    "ban",
    "bell",
    "brand-facebook",
    "brand-instagram",
    "brand-tiktok",
    "brand-twitch",
    "brand-youtube",
    "broadcast",
    "calendar",
    "calendar-event",
    "calendar-plus",
    "calendar-time",
    "camera",
    "chart-line",
    "check",
    "chevron-down",
    "chevron-left",
    "chevron-right",
    "chevron-up",
    "circle-check",
    "circle-x",
    "clock",
    "cloud",
    "copy",
    "cpu",
    "dashboard",
    "database",
    "device-desktop",
    "device-floppy",
    "device-tv",
    "devices-pc",
    "dots-vertical",
    "download",
    "edit",
    "external-link",
    "eye",
    "eye-off",
    "file-text",
    "file-upload",
    "filter",
    "gauge",
    "grip-vertical",
    "heart-rate-monitor",
    "history",
    "home",
    "info-circle",
    "key",
    "language",
    "layout-grid",
    "link",
    "list",
    "lock",
    "login",
    "logout",
    "menu-2",
    "minus",
    "moon",
    "movie",
    "network",
    "pencil",
    "photo",
    "photo-plus",
    "player-pause",
    "player-play",
    "player-record",
    "player-stop",
    "plus",
    "refresh",
    "repeat",
    "search",
    "server",
    "settings",
    "shield",
    "shield-lock",
    "sun",
    "tag",
    "trash",
    "upload",
    "user",
    "user-plus",
    "users",
    "video",
    "volume-off",
    "wifi",
    "world",
    "x",
];

fn main() -> Result<()> {
    for path in [
        "build.rs",
        "static/package.json",
        "static/package-lock.json",
        "static/.npmrc",
        "static/licences",
        "templates/texts",
    ] {
        println!("cargo::rerun-if-changed={path}");
    }
    // Debug builds read these from disk at run time, so editing them need not build anything again.
    let release = env::var("PROFILE")? == "release";
    if release {
        println!("cargo::rerun-if-changed=static/own");
        println!("cargo::rerun-if-changed=templates");
    }

    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let modules = root.join("static/node_modules");
    let out = PathBuf::from(env::var("OUT_DIR")?).join("vendor");
    install(&root.join("static"), &modules)?;

    fs::create_dir_all(&out)?;
    let mut names = vec![];
    for (name, source) in PICKED {
        let bytes = read(&modules.join(source))?;
        place(&out, name, &without_source_map(bytes), &mut names)?;
    }
    place(&out, "icons.svg", sprite(&modules)?.as_bytes(), &mut names)?;
    place(&out, "licences.txt", licences(&root, &modules)?.as_bytes(), &mut names)?;
    if release {
        for entry in fs::read_dir(root.join("static/own"))? {
            let path = entry?.path();
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                place(&out, name, &read(&path)?, &mut names)?;
            }
        }
    }

    // What an earlier list picked must not be embedded any longer.
    for entry in fs::read_dir(&out)? {
        let entry = entry?;
        if !names.iter().any(|name| entry.file_name() == name.as_str()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Runs `npm ci` unless `node_modules` already holds what the lock file says.
fn install(folder: &Path, modules: &Path) -> Result<()> {
    let lock = read(&folder.join("package-lock.json"))?;
    let stamp = modules.join(".jadwalstream-lock");
    let wanted = PICKED.iter().chain(LICENCES).map(|(_, path)| *path);
    if fs::read(&stamp).is_ok_and(|installed| installed == lock)
        && wanted.into_iter().all(|path| modules.join(path).is_file())
    {
        return Ok(());
    }
    let output = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder)
        .output()
        .map_err(|cause| format!("cannot run npm ({cause}): install Node.js 18+ or run scripts/run"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`npm ci` in {} failed:\n{said}", folder.display()).into());
    }
    fs::write(stamp, lock)?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|cause| format!("cannot read {}: {cause}", path.display()).into())
}

/// Drops the last line if it names a source map: maps are not served, and browsers would ask for them.
fn without_source_map(mut bytes: Vec<u8>) -> Vec<u8> {
    let text = bytes.trim_ascii_end();
    let last = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if text[last..].windows(17).any(|window| window == b"sourceMappingURL=") && last > 0 {
        bytes.truncate(last);
    }
    bytes
}

/// One SVG with a symbol for each icon, to be used as `<svg class="icon"><use href="…/icons.svg#video"/></svg>`.
fn sprite(modules: &Path) -> Result<String> {
    let mut sprite = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\"><!-- Tabler Icons, MIT, (c) Paweł Kuna; see licences.txt -->\n",
    );
    for name in ICONS {
        let path = modules.join(format!("@tabler/icons/icons/outline/{name}.svg"));
        let text = String::from_utf8(read(&path)?)?;
        let body = text
            .split_once('>')
            .and_then(|(_, rest)| rest.rsplit_once("</svg>"))
            .ok_or_else(|| format!("{} is not the SVG we know", path.display()))?
            .0;
        let shapes: String = body
            .lines()
            .map(str::trim)
            // The set draws an invisible square in each icon.
            .filter(|line| !line.contains("M0 0h24v24H0z"))
            .collect();
        sprite.push_str(&format!(
            "<symbol id=\"{name}\" viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" \
             stroke-linecap=\"round\" stroke-linejoin=\"round\">{shapes}</symbol>\n"
        ));
    }
    sprite.push_str("</svg>\n");
    Ok(sprite)
}

fn licences(root: &Path, modules: &Path) -> Result<String> {
    let mut text = String::new();
    let own = root.join("static/licences");
    let own = TEXTS.iter().map(|(name, path)| (name, own.join(path)));
    for (name, path) in LICENCES.iter().map(|(name, path)| (name, modules.join(path))).chain(own) {
        text.push_str(&format!("==== {name}\n\n{}\n\n", String::from_utf8(read(&path)?)?.trim()));
    }
    Ok(text)
}

/// Writes a file and its gzip twin, if they are not there already.
fn place(out: &Path, name: &str, bytes: &[u8], names: &mut Vec<String>) -> Result<()> {
    let plain = out.join(name);
    let zipped = out.join(format!("{name}.gz"));
    names.extend([name.to_owned(), format!("{name}.gz")]);
    if zipped.is_file() && fs::read(&plain).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(plain, bytes)?;
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    encoder.write_all(bytes)?;
    fs::write(zipped, encoder.finish()?)?;
    Ok(())
}
