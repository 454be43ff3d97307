//! Texts for people, in English and Indonesian, from `templates/texts/<locale>/*.ftl`.
//!
//! Domain rooms speak in [`Message`]s (a text's id and its arguments); only the door knows the reader's language.
//! A test holds every id used in code and templates against both languages.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use fluent_templates::{Loader, fluent_bundle::FluentValue, static_loader};
use serde::{Deserialize, Serialize};
use unic_langid::{LanguageIdentifier, langid};

static_loader! {
    static TEXTS = {
        locales: "./templates/texts",
        fallback_language: "en",
        // Without this, Fluent puts U+2068/U+2069 marks around every argument.
        // Numbers within texts are written as everywhere else.
        customise: |bundle| {
            bundle.set_use_isolating(false);
            bundle.set_formatter(Some(match bundle.locales.first() {
                Some(locale) if *locale == ID => |value, _| numeral(Locale::Id, value),
                _ => |value, _| numeral(Locale::En, value),
            }));
        },
    };
}

const EN: LanguageIdentifier = langid!("en");
const ID: LanguageIdentifier = langid!("id");

/// A number within a text.
fn numeral(locale: Locale, value: &FluentValue<'_>) -> Option<String> {
    match value {
        FluentValue::Number(number) => Some(locale.number(number.value, 0, 2)),
        _ => None,
    }
}

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Locale {
    /// English.
    #[default]
    En,
    /// Indonesian.
    Id,
}

impl Locale {
    /// `en` or `id`.
    pub fn code(self) -> &'static str {
        match self {
            Locale::En => "en",
            Locale::Id => "id",
        }
    }

    /// Parses a language code; regions are ignored (`id-ID` is Indonesian).
    pub fn parse(code: &str) -> Option<Locale> {
        match code.split(['-', '_']).next()?.to_ascii_lowercase().as_str() {
            "en" => Some(Locale::En),
            "id" | "in" => Some(Locale::Id),
            _ => None,
        }
    }

    /// The first language of an `Accept-Language` header that we speak.
    pub fn negotiate(accept_language: &str) -> Option<Locale> {
        accept_language.split(',').find_map(|part| Locale::parse(part.split(';').next()?.trim()))
    }

    /// `12,345.5` or `12.345,5`: thousands set apart, with at least `least` and at most `most` decimals.
    pub fn number(self, number: f64, least: usize, most: usize) -> String {
        let text = format!("{:.most$}", number.abs());
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        let kept = decimals.trim_end_matches('0').len().max(least).min(decimals.len());
        let (apart, point) = match self {
            Locale::En => (',', '.'),
            Locale::Id => ('.', ','),
        };
        let mut told = if number < 0.0 { "-".to_owned() } else { String::new() };
        for (place, digit) in whole.chars().enumerate() {
            if place > 0 && (whole.len() - place).is_multiple_of(3) {
                told.push(apart);
            }
            told.push(digit);
        }
        if kept > 0 {
            told.push(point);
            told.push_str(&decimals[..kept]);
        }
        told
    }

    /// The text `id` with `arguments`; an unknown id comes back as it is.
    pub fn text(self, id: &str, arguments: &HashMap<Cow<'static, str>, FluentValue<'_>>) -> String {
        let language = match self {
            Locale::En => &EN,
            Locale::Id => &ID,
        };
        TEXTS.try_lookup_complete(language, id, Some(arguments)).unwrap_or_else(|| id.to_owned())
    }
}

/// A number or a word put into a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Argument {
    /// Chooses plural forms.
    Number(f64),
    /// Put in as it is.
    Word(String),
    /// Another message, translated with the outer one.
    Nested(Box<Message>),
}

impl From<&str> for Argument {
    fn from(word: &str) -> Self {
        Argument::Word(word.to_owned())
    }
}
impl From<String> for Argument {
    fn from(word: String) -> Self {
        Argument::Word(word)
    }
}
impl From<Message> for Argument {
    fn from(message: Message) -> Self {
        Argument::Nested(Box::new(message))
    }
}
macro_rules! numbers {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Argument {
            fn from(number: $kind) -> Self { Argument::Number(number as f64) }
        }
    )*};
}
numbers!(u8, u16, u32, u64, i32, i64, usize, f32, f64);

/// A text's id and its arguments, before anyone knows the reader's language. It can be stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Id in the `.ftl` files.
    pub id: Cow<'static, str>,
    /// Arguments by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<(Cow<'static, str>, Argument)>,
}

impl Message {
    /// A text without arguments.
    pub fn new(id: &'static str) -> Self {
        Message { id: Cow::Borrowed(id), arguments: Vec::new() }
    }

    /// Adds one argument.
    pub fn with(mut self, name: &'static str, value: impl Into<Argument>) -> Self {
        self.arguments.push((Cow::Borrowed(name), value.into()));
        self
    }

    /// The text in a language.
    pub fn in_locale(&self, locale: Locale) -> String {
        let arguments = self
            .arguments
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Argument::Number(number) => FluentValue::from(*number),
                    Argument::Word(word) => FluentValue::from(word.clone()),
                    Argument::Nested(message) => FluentValue::from(message.in_locale(locale)),
                };
                (name.clone(), value)
            })
            .collect();
        locale.text(&self.id, &arguments)
    }
}

/// English, for logs and the command line.
impl fmt::Display for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.in_locale(Locale::En))
    }
}
