use proptest::prelude::*;
use serde_json::json;

use super::*;

fn ring() -> (tempfile::TempDir, Vault) {
    let home = tempfile::tempdir().unwrap();
    let vault = Vault::open(&home.path().join("master.key"), true).unwrap();
    (home, vault)
}

#[test]
fn every_purpose_is_found_by_the_ids_of_its_row() {
    let (_home, vault) = ring();
    let (al, bo) = (Tenant::parse("al").unwrap(), Tenant::parse("bo").unwrap());
    let old = ["k1".to_owned()];
    for &purpose in Purpose::ALL {
        let id = Uuid::now_v7();
        let sealed = vault.sealing().seal(Some(&al), purpose, id, &SecretString::from("secret")).unwrap();
        let in_value = json!({"value": {"targets": [{"id": id, "key": sealed}]}}).to_string();
        let in_key = json!({"value": {"key": sealed}}).to_string();
        let key = [b"row/stream/".as_slice(), id.as_bytes()].concat();
        for (key, value) in [(b"x".as_slice(), &in_value), (&key, &in_key), (format!("x/{id}").as_bytes(), &in_key)] {
            let found = sealed_in(key, value.as_bytes(), &old);
            assert_eq!(found.len(), 1, "{value}");
            assert!(open(&vault, Some(&al), &found[0]).is_some_and(|(of, at, _)| (of, at) == (purpose, id)));
            assert!(open(&vault, Some(&bo), &found[0]).is_none() && open(&vault, None, &found[0]).is_none());
        }
        assert!(sealed_in(&key, in_key.as_bytes(), &["k2".to_owned()]).is_empty());
    }
}

#[tokio::test]
async fn a_secret_that_nothing_known_opens_is_counted_where_secrets_stand() {
    let (_home, vault) = ring();
    let al = Tenant::parse("al").unwrap();
    let (here, elsewhere) = (Uuid::now_v7(), Uuid::now_v7());
    let seal = |id| {
        let secret = SecretString::from("secret");
        vault.sealing().seal(Some(&al), Purpose::StreamKey, id, &secret).unwrap().as_str().to_owned()
    };
    let (known, strange) = (seal(here), seal(elsewhere));
    vault.add_key().await.unwrap();
    let of = |value: &[u8]| {
        let key = [b"row/stream/".as_slice(), here.as_bytes()].concat();
        renewed(&vault, &vault.sealing(), Some(&al), &key, value).unwrap()
    };
    let both = json!({"value": {"key": known, "targets": [{"key": strange}]}}).to_string();
    let after = of(both.as_bytes());
    assert_eq!((after.count, after.unopened), (1, 1));
    let text = String::from_utf8(after.value.unwrap()).unwrap();
    assert!(text.contains(&strange) && !text.contains(&known) && text.contains("\"k2."), "{text}");
    // What people can type keeps no key: titles, what is on record, what their browsers call themselves.
    let within = json!({"kept": json!({"key": strange}).to_string()}).to_string();
    let typed = ["title", "object", "agent"].map(|field| json!({field: strange}).to_string());
    for value in typed.iter().chain([&within, &format!("\u{1}{known}\u{0}"), &format!("\"see {known}!\"")]) {
        let after = of(value.as_bytes());
        assert_eq!((after.count, after.unopened, after.value.is_some()), (0, 0, false), "{value}");
    }
    let before = json!({"way": {"previous": [strange, "2030-01-01T00:00:00Z"]}}).to_string();
    assert_eq!(of(before.as_bytes()).unopened, 1, "the one before is a secret too");
    assert_eq!(of(json!({"key": known}).to_string().as_bytes()).unopened, 0);
    assert_eq!(of(b"k1.short sk1.").unopened, 0);
}

#[test]
fn a_place_says_whose_and_which() {
    let (al, id) = (Tenant::parse("al").unwrap(), Uuid::now_v7());
    let key = [b"row/stream/".as_slice(), id.as_bytes()].concat();
    assert_eq!(place_of(Some(&al), &key), format!("al row/stream {id}"));
    assert_eq!(place_of(None, b"token-signing"), "platform token-signing");
    assert_eq!(place_of(None, b"a-long-name-of-a-value"), "platform a-long-name-of-a-value");
}

proptest! {
    #[test]
    fn what_people_type_is_not_taken_for_a_secret(title in ".{0,80}", tail in "[A-Za-z0-9+/]{54,80}") {
        let (_home, vault) = ring();
        let old = ["k1".to_owned()];
        let value = json!({"id": Uuid::now_v7(), "title": title, "more": format!("k1.{tail}")}).to_string();
        for found in sealed_in(b"row/stream/x", value.as_bytes(), &old) {
            prop_assert!(open(&vault, None, &found).is_none());
        }
    }
}

/// Everything that seals, by file and purpose. Whoever adds one sees to it that it lies where a rotation goes (a row, or
/// a sealed file of a connection), has something of it in the `world` of `tests/it/keys.rs`, and then adds it here.
const SEALS: &[(&str, &[Purpose])] = &[
    ("app.rs", &[Purpose::TokenSigning]),
    ("live/kept_key.rs", &[Purpose::StreamKey]),
    ("live/sample.rs", &[Purpose::StreamKey]),
    ("live/stream.rs", &[Purpose::StreamKey]),
    ("notify/telegram.rs", &[Purpose::TelegramToken]),
    ("notify/webhook.rs", &[Purpose::WebhookSecret]),
    ("oauth/client.rs", &[Purpose::ClientSecret]),
    ("oauth/connect.rs", &[Purpose::GrantVerifier]),
    ("oauth/sealed.rs", &[Purpose::ChannelGrant]),
    ("youtube/upload/send.rs", &[Purpose::UploadSession]),
    // Lies nowhere: it goes to the browser and comes back.
    ("web/confirm.rs", &[Purpose::HeldForm]),
];

#[test]
fn whatever_seals_is_known_to_the_rotation() {
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = std::collections::BTreeMap::new();
    for entry in walkdir::WalkDir::new(&src).into_iter().map(Result::unwrap) {
        let name = entry.path().strip_prefix(&src).unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".rs") || name.ends_with("_tests.rs") || ["keys.rs", "vault.rs"].contains(&name.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        let mut purposes: Vec<Purpose> = Vec::new();
        for call in text.split(".seal(").skip(1) {
            let arguments = call.split(';').next().unwrap_or_default();
            let of = |purpose: &&Purpose| arguments.contains(&format!("Purpose::{purpose:?},"));
            if let Some(purpose) = Purpose::ALL.iter().find(of).filter(|purpose| !purposes.contains(*purpose)) {
                purposes.push(*purpose);
            }
        }
        if !purposes.is_empty() {
            found.insert(name, purposes);
        }
    }
    let known = SEALS.iter().map(|(name, purposes)| ((*name).to_owned(), purposes.to_vec())).collect();
    assert_eq!(found, known);
    let all: Vec<Purpose> = SEALS.iter().flat_map(|(_, purposes)| purposes.to_vec()).collect();
    assert!(Purpose::ALL.iter().all(|purpose| all.contains(purpose)), "a purpose that nothing is sealed for");
}

#[test]
fn whatever_is_sealed_stands_in_a_known_field() {
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = std::collections::BTreeSet::new();
    for entry in walkdir::WalkDir::new(&src).into_iter().map(Result::unwrap) {
        if entry.path().extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for line in std::fs::read_to_string(entry.path()).unwrap().lines() {
            let line = line
                .trim()
                .trim_start_matches("pub ")
                .trim_start_matches("pub(super) ")
                .trim_start_matches("pub(crate) ");
            let Some((name, kind)) = line.split_once(": ") else { continue };
            let is_field = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            // Bare, or within whatever: a pair, a list, an option.
            let mut words = kind.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            if is_field && kind.ends_with(',') && !kind.contains(['&', '{']) && words.any(|word| word == "Sealed") {
                found.insert(name.to_owned());
            }
        }
    }
    let known = FIELDS.iter().map(|field| (*field).to_owned()).collect();
    assert_eq!(found, known);
}
