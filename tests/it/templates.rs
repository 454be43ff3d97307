//! Every page, rendered from fixtures in both languages: correct, accessible, free of inline script and style.
//!
//! The pages are written to `target/pages/<language>/`, to be looked at in a browser.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use jadwalstream::text::Locale;
use jadwalstream::web::{self, format};
use serde_json::Value as Json;
use tera::{Context, Kwargs, State, Tera, TeraResult};

use crate::html::{self, Element};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(|entry| entry.ok())
        .map(|entry| entry.into_path())
        .filter(|path| path.extension().is_some_and(|given| given == extension))
        .collect();
    found.sort();
    found
}

fn templates() -> Vec<(String, String)> {
    let folder = root().join("templates");
    files(&folder, "html")
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().replace('\\', "/");
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// An engine like the server's, but an unknown text fails the page.
fn engine(locale: Locale) -> Tera {
    let mut tera = Tera::default();
    let known = crate::texts::texts(locale.code());
    tera.register_function("t", move |arguments: Kwargs, _: &State| -> TeraResult<String> {
        let id = arguments.must_get::<&str>("key")?;
        let mut words = HashMap::new();
        for (name, value) in arguments.iter().filter(|(name, _)| name.as_str() != Some("key")) {
            let word = match value.as_f64() {
                Some(number) => number.into(),
                None => value.to_string().into(),
            };
            words.insert(name.to_string().into(), word);
        }
        let text = locale.text(id, &words);
        if !known.contains_key(id) || text.contains("{$") {
            return Err(tera::Error::message(format!("text {id} is missing or lacks an argument: {text}")));
        }
        Ok(text)
    });
    tera.register_function("asset", |arguments: Kwargs, _: &State| -> TeraResult<String> {
        let name = arguments.must_get::<&str>("name")?;
        match web::assets::asset_url(name) {
            address if address.contains("/missing/") => Err(tera::Error::message(format!("no asset {name}"))),
            _ => Ok(format!("/static/{name}")),
        }
    });
    tera.register_filter("bytes", move |value: f64, _: Kwargs, _: &State| format::bytes(locale, value));
    tera.register_filter("bitrate", move |value: f64, _: Kwargs, _: &State| format::bitrate(locale, value));
    tera.register_filter("number", move |value: f64, _: Kwargs, _: &State| format::number(locale, value));
    tera.register_filter("clock", |value: f64, _: Kwargs, _: &State| format::clock(value));
    tera.register_filter("duration", move |value: f64, _: Kwargs, _: &State| format::duration(locale, value));
    tera.add_raw_templates(templates()).unwrap_or_else(|error| panic!("{error}"));
    tera
}

/// Fixtures hold `{"en": …, "id": …}` where the server would have put a text.
fn speak(value: Json, locale: Locale) -> Json {
    match value {
        Json::Object(map) if map.len() == 2 && map.contains_key("en") && map.contains_key("id") => {
            map[locale.code()].clone()
        }
        Json::Object(map) => map.into_iter().map(|(key, value)| (key, speak(value, locale))).collect(),
        Json::Array(items) => items.into_iter().map(|item| speak(item, locale)).collect(),
        other => other,
    }
}

fn pages() -> Vec<(String, String, String)> {
    let fixtures = files(&root().join("tests/it/fixtures/pages"), "json");
    let mut pages = vec![];
    let mut rendered = BTreeSet::new();
    for locale in [Locale::En, Locale::Id] {
        let tera = engine(locale);
        for path in &fixtures {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let fixture: Json = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            let template = fixture["template"].as_str().unwrap().to_owned();
            let mut context = speak(fixture["context"].clone(), locale);
            context["page"]["locale"] = locale.code().into();
            let context = Context::from_serialize(&context).unwrap();
            let html = tera.render(&template, &context).unwrap_or_else(|error| panic!("{name}: {error}"));
            rendered.insert(template);
            pages.push((locale.code().to_owned(), name.to_owned(), html));
        }
    }
    for (template, _) in templates() {
        let shared = ["layout.html", "ui.html"].contains(&template.as_str());
        assert!(shared || rendered.contains(&template), "no fixture renders {template}");
    }
    pages
}

#[test]
fn every_page_renders_in_both_languages_and_is_sound() {
    let mut faults = vec![];
    for (language, name, html) in pages() {
        let folder = root().join("target/pages").join(&language);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.html")), &html).unwrap();
        let page = html::parse(&html).unwrap_or_else(|fault| panic!("{language}/{name}: {fault}"));
        for fault in check(&page) {
            faults.push(format!("{language}/{name}: {fault}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn check(page: &[Element]) -> Vec<String> {
    let mut faults = vec![];
    let mut ids = BTreeMap::<&str, usize>::new();
    for element in page {
        if let Some(id) = element.get("id") {
            *ids.entry(id).or_default() += 1;
        }
    }
    faults.extend(ids.iter().filter(|(_, count)| **count > 1).map(|(id, _)| format!("id {id} stands twice")));

    for (at, element) in page.iter().enumerate() {
        let tag = element.tag.as_str();
        let mut fault = |text: &str| faults.push(format!("{text}: {element}"));
        for (name, value) in &element.attributes {
            if name == "style"
                || name.starts_with("on")
                || name.starts_with("hx-on")
                || value.starts_with("javascript:")
            {
                fault("inline style or script");
            }
            if ["for", "aria-describedby", "aria-labelledby", "list"].contains(&name.as_str())
                && !ids.contains_key(value.as_str())
            {
                fault("refers to an id that is not there");
            }
        }
        if tag == "style" || (tag == "script" && element.get("src").is_none_or(str::is_empty)) {
            fault("inline style or script");
        }
        if tag == "img" && element.get("alt").is_none() {
            fault("picture without alt");
        }
        let shown = element.get("type") != Some("hidden") && element.get("hidden").is_none();
        if ["input", "select", "textarea"].contains(&tag) && shown {
            let labelled = element.get("aria-label").is_some_and(|label| !label.is_empty())
                || element.inside(page, "label").is_some()
                || page.iter().any(|other| {
                    other.tag == "label" && other.get("for").is_some() && other.get("for") == element.get("id")
                });
            if !labelled {
                fault("field without label");
            }
        }
        if ["button", "a", "summary", "label", "h1", "h2", "h3", "th"].contains(&tag)
            && element.get("aria-label").is_none_or(str::is_empty)
            && element.get("aria-hidden").is_none()
            && element.get("data-ask").is_none()
            && element.inside(page, "dialog").is_none()
            && element.text.trim().is_empty()
            && !page.iter().any(|other| other.tag == "img" && other.within(at, page))
        {
            fault("nothing to read");
        }
        if tag == "form" && element.get("method") == Some("post") {
            let first = page[at + 1..]
                .iter()
                .find(|other| ["input", "button", "select", "textarea"].contains(&other.tag.as_str()));
            if first
                .is_none_or(|first| first.get("name") != Some("csrf") || first.get("value").is_none_or(str::is_empty))
            {
                fault("the form token is not the first field");
            }
            if element.inside(page, "form").is_some() {
                fault("a form within a form");
            }
        }
        if tag == "table" && !page.iter().any(|other| other.tag == "th" && other.within(at, page)) {
            fault("table without headers");
        }
    }
    if page.iter().any(|element| element.tag == "html") {
        for needed in ["main", "h1", "title"] {
            let count = page.iter().filter(|element| element.tag == needed).count();
            if count != 1 {
                faults.push(format!("{count} times <{needed}>"));
            }
        }
    }
    faults
}

#[test]
fn what_people_typed_is_shown_as_text() {
    let pages = pages();
    let page = |name: &str| &pages.iter().find(|(_, given, _)| given == name).unwrap().2;
    assert!(page("video-errors").contains("&lt;/textarea&gt;&lt;script&gt;"));
    assert!(page("dashboard").contains("Ngaji subuh &lt;b&gt;ulang&lt;"));
    assert!(page("videos-none-found").contains("ra&quot;in &lt;x&gt;"));
}

#[test]
fn demo_users_see_every_control_disabled() {
    for (language, name, html) in pages().iter().filter(|(_, _, html)| html.contains("class=\"demo-note\"")) {
        let page = html::parse(html).unwrap();
        let changing = |element: &Element| {
            let form = element.inside(&page, "form").map(|at| &page[at]);
            form.is_some_and(|form| {
                form.get("method") == Some("post")
                    && !["/preferences", "/logout"].contains(&form.get("action").unwrap_or(""))
            })
        };
        for element in page.iter().filter(|element| element.tag == "button" && changing(element)) {
            let disabled = element.get("disabled").is_some()
                || element.inside(&page, "fieldset").is_some_and(|at| page[at].get("disabled").is_some());
            assert!(disabled, "{language}/{name}: {element}");
        }
    }
}

#[test]
fn every_icon_is_in_the_sprite() {
    let build = fs::read_to_string(root().join("build.rs")).unwrap();
    let pages = pages();
    let used: BTreeSet<&str> = pages
        .iter()
        .flat_map(|(_, _, html)| html.split("icons.svg#").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let missing: Vec<_> = used.into_iter().filter(|name| !build.contains(&format!("\"{name}\","))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
