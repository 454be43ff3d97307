//! Names, titles, notes and tags as people type them: cleaned, bounded, never a path.

use crate::error::{Error, FieldError, Result};
use crate::text::Message;

/// Longest title, in characters.
pub const TITLE: usize = 200;
/// Longest description, in characters.
pub const DESCRIPTION: usize = 5000;
/// Longest tag, in characters, and how many a row may have.
pub const TAG: usize = 50;
/// Most tags of a row.
pub const TAGS: usize = 30;
/// Longest file name that is kept, in characters.
const FILE_NAME: usize = 255;

/// Composed characters, so that the same name is the same text from every system (NFC).
pub(crate) fn composed(text: &str) -> String {
    icu_normalizer::ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

/// Characters that are not seen but change how others are: controls, and marks that turn the reading direction.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line of text: composed, without hidden characters, at most `most` characters.
pub fn line(text: &str, most: usize) -> String {
    let spaced: String = text.chars().map(|letter| if letter.is_whitespace() { ' ' } else { letter }).collect();
    let seen: String = composed(&spaced).chars().filter(|letter| !is_hidden(*letter)).collect();
    seen.trim().chars().take(most).collect::<String>().trim_end().to_owned()
}

/// Text of several lines.
fn lines(text: &str) -> String {
    let kept = composed(text).replace("\r\n", "\n");
    kept.chars().filter(|letter| *letter == '\n' || *letter == '\t' || !is_hidden(*letter)).collect()
}

/// For search: what differs only in case is the same.
pub fn folded(text: &str) -> String {
    composed(&text.to_lowercase())
}

/// The name that a browser gave a file, without any folder before it.
pub fn file_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    match line(last, FILE_NAME) {
        name if name.is_empty() || name.chars().all(|letter| letter == '.') => "unnamed".to_owned(),
        name => name,
    }
}

/// A title for a file that was given none: its name without the extension.
pub fn title_of(file_name: &str) -> String {
    let stem = match file_name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file_name,
    };
    match line(stem, TITLE) {
        title if title.is_empty() => "unnamed".to_owned(),
        title => title,
    }
}

/// A title that somebody typed.
///
/// # Errors
/// [`Error::Invalid`] on the field `title` for one that is empty or too long.
pub fn title(typed: &str) -> Result<String> {
    let title = line(typed, usize::MAX);
    if title.is_empty() || title.chars().count() > TITLE {
        return Err(Error::field("title", Message::new("library-title-expected").with("most", TITLE)));
    }
    Ok(title)
}

/// A description that somebody typed.
///
/// # Errors
/// [`Error::Invalid`] on the field `description` for one that is too long.
pub fn description(typed: &str) -> Result<String> {
    let text = lines(typed).trim().to_owned();
    if text.chars().count() > DESCRIPTION {
        return Err(Error::field("description", Message::new("library-description-long").with("most", DESCRIPTION)));
    }
    Ok(text)
}

/// Tags that somebody typed: each once, whatever its case.
///
/// # Errors
/// [`Error::Invalid`] on the field `tags` for too many, or one that is too long.
pub fn tags<'t>(typed: impl IntoIterator<Item = &'t str>) -> Result<Vec<String>> {
    let mut tags: Vec<String> = Vec::new();
    for tag in typed {
        let tag = line(tag, usize::MAX);
        if tag.is_empty() || tags.iter().any(|known| folded(known) == folded(&tag)) {
            continue;
        }
        tags.push(tag);
    }
    if tags.len() > TAGS || tags.iter().any(|tag| tag.chars().count() > TAG) {
        return Err(Error::field("tags", Message::new("library-tags-many").with("most", TAGS).with("longest", TAG)));
    }
    Ok(tags)
}

/// Collects what is wrong with several fields, to be told at once.
#[derive(Default)]
pub(super) struct Complaints(Vec<FieldError>);

impl Complaints {
    /// The value, or `None` and a note of what is wrong with it.
    pub fn check<T>(&mut self, checked: Result<T>) -> Result<Option<T>> {
        match checked {
            Ok(value) => Ok(Some(value)),
            Err(Error::Invalid(fields)) => {
                self.0.extend(fields);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Refuses if anything was wrong.
    pub fn none(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_a_name_and_never_a_path() {
        for (given, kept) in [
            ("a.mp4", "a.mp4"),
            ("../../etc/passwd", "passwd"),
            (r"C:\Users\al\film.mp4", "film.mp4"),
            ("..", "unnamed"),
            ("", "unnamed"),
            ("a/", "unnamed"),
            ("ca\u{301}fe.mp4", "cáfe.mp4"),
            ("evil\u{202e}4pm.exe\u{0}\n", "evil4pm.exe"),
        ] {
            assert_eq!(file_name(given), kept, "{given:?}");
        }
        assert_eq!(file_name(&"x".repeat(1000)).len(), 255);
        assert_eq!(title_of("My film.final.mp4"), "My film.final");
        assert_eq!(title_of(".mp4"), ".mp4");
    }

    #[test]
    fn tags_are_kept_once_and_bounded() {
        assert_eq!(tags(["Night", " night ", "", "Köln"]).unwrap(), ["Night", "Köln"]);
        assert_eq!(tags([&*"x".repeat(51)]).unwrap_err().status(), 422);
        assert_eq!(title("  \u{202e} ").unwrap_err().status(), 422);
        assert_eq!(description(&"x".repeat(5001)).unwrap_err().status(), 422);
        assert_eq!(description("a\r\nb\0").unwrap(), "a\nb");
    }
}
