//! What a platform is to be told of the broadcasts of a stream or a schedule.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::sheet::Privacy;
use crate::error::{FieldError, Result};
use crate::library::Thumbnail;
use crate::library::names::is_hidden;
use crate::store::rows::Writer;
use crate::text::Message;

/// How far viewers are behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    /// Best picture; viewers may go back.
    Normal,
    /// Under ten seconds.
    Low,
    /// Under five seconds.
    UltraLow,
}

impl Latency {
    /// All, in the order of lists.
    pub const ALL: [Latency; 3] = [Latency::Normal, Latency::Low, Latency::UltraLow];

    /// The word of forms and the API.
    pub fn code(self) -> &'static str {
        match self {
            Latency::Normal => "normal",
            Latency::Low => "low",
            Latency::UltraLow => "ultra_low",
        }
    }

    /// Reads [`Latency::code`].
    pub fn parse(code: &str) -> Option<Latency> {
        Latency::ALL.into_iter().find(|latency| latency.code() == code)
    }
}

/// Texts and settings of broadcasts. What is `None` is as the stream says, and what that leaves open is as usual.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Broadcast {
    /// What it is called; the stream's title where absent. May hold [`FIELDS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What viewers read below it. May hold [`FIELDS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Words that it is found by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// YouTube's number of its category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<u16>,
    /// Who may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// It is made for children.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_for_kids: Option<bool>,
    /// The platform shows it as soon as video comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_start: Option<bool>,
    /// The platform ends it when no more video comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_stop: Option<bool>,
    /// How far viewers are behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Viewers may go back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dvr: Option<bool>,
    /// A new one follows before the platform stops recording it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roll_over: Option<bool>,
    /// Its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_id: Option<Uuid>,
    /// Playlist that it is put into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playlist: Option<String>,
}

/// What may stand in braces in titles and descriptions.
pub const FIELDS: [&str; 7] = ["title", "date", "time", "day", "month", "year", "number"];

/// YouTube's categories that a broadcast may have, by number (`videoCategories.list`, assignable ones).
pub const CATEGORIES: [u16; 15] = [1, 2, 10, 15, 17, 19, 20, 22, 23, 24, 25, 26, 27, 28, 29];

/// What holds where nothing is said.
pub struct Usual {
    /// YouTube's own choice where nobody chose: People & blogs.
    pub category: u16,
    /// Of broadcasts.
    pub privacy: Privacy,
    /// It is made for children.
    pub made_for_kids: bool,
    /// The platform shows it by itself.
    pub auto_start: bool,
    /// The platform ends it by itself.
    pub auto_stop: bool,
    /// How far viewers are behind.
    pub latency: Latency,
    /// Viewers may go back.
    pub dvr: bool,
    /// A new one follows.
    pub roll_over: bool,
}

/// What holds where nothing is said.
pub const USUAL: Usual = Usual {
    category: 22,
    privacy: Privacy::Public,
    made_for_kids: false,
    auto_start: false,
    // The platform would end a broadcast whose sender comes back after a minute.
    auto_stop: false,
    latency: Latency::Normal,
    dvr: true,
    roll_over: false,
};

/// What one occurrence puts into the braces.
#[derive(Debug, Clone)]
pub struct Filling {
    /// The stream's title.
    pub title: String,
    /// The local time of the occurrence.
    pub at: DateTime,
    /// Which one of its schedule, from 1.
    pub number: usize,
}

/// A text with its braces filled; what is no field stays as it stands.
pub fn fill(text: &str, with: &Filling) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(name, behind)| {
            let value = match name.trim() {
                "title" => with.title.clone(),
                "date" => with.at.date().to_string(),
                "time" => with.at.strftime("%H:%M").to_string(),
                "day" => with.at.day().to_string(),
                "month" => with.at.month().to_string(),
                "year" => with.at.year().to_string(),
                "number" => with.number.to_string(),
                _ => return None,
            };
            Some((value, behind))
        });
        match value {
            Some((value, behind)) => {
                filled.push_str(&value);
                rest = behind;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// A word in braces that is no field.
fn odd_field(text: &str) -> Option<&str> {
    let names = text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name.trim()));
    let is_word = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    names.filter(is_word).find(|name| !FIELDS.contains(name))
}

/// What a playlist is called in its address; also from the address itself.
fn playlist_id(text: &str) -> Option<String> {
    let text = text.trim();
    let id = match url::Url::parse(text) {
        Ok(url) => url.query_pairs().find(|(name, _)| name == "list").map(|(_, id)| id.into_owned())?,
        Err(_) => text.to_owned(),
    };
    let fits =
        (2..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    fits.then_some(id)
}

impl Broadcast {
    /// Longest title that YouTube takes, in characters.
    pub const LONGEST_TITLE: usize = 100;
    /// Longest description that YouTube takes, in bytes.
    pub const LONGEST_DESCRIPTION: usize = 5000;
    /// Longest tags that YouTube takes, in characters: together, with a comma between them and quotation marks around
    /// those with a blank.
    pub const LONGEST_TAGS: usize = 500;

    /// Nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Broadcast::default()
    }

    /// This, and where it says nothing, what `other` says.
    pub fn or(&self, other: &Broadcast) -> Broadcast {
        Broadcast {
            title: self.title.clone().or_else(|| other.title.clone()),
            description: self.description.clone().or_else(|| other.description.clone()),
            tags: self.tags.clone().or_else(|| other.tags.clone()),
            category: self.category.or(other.category),
            privacy: self.privacy.or(other.privacy),
            made_for_kids: self.made_for_kids.or(other.made_for_kids),
            auto_start: self.auto_start.or(other.auto_start),
            auto_stop: self.auto_stop.or(other.auto_stop),
            latency: self.latency.or(other.latency),
            dvr: self.dvr.or(other.dvr),
            roll_over: self.roll_over.or(other.roll_over),
            thumbnail_id: self.thumbnail_id.or(other.thumbnail_id),
            playlist: self.playlist.clone().or_else(|| other.playlist.clone()),
        }
    }

    /// The same with what is usual where nothing is said.
    pub fn or_usual(&self) -> Broadcast {
        self.or(&Broadcast {
            category: Some(USUAL.category),
            privacy: Some(USUAL.privacy),
            made_for_kids: Some(USUAL.made_for_kids),
            auto_start: Some(USUAL.auto_start),
            auto_stop: Some(USUAL.auto_stop),
            latency: Some(USUAL.latency),
            dvr: Some(USUAL.dvr),
            roll_over: Some(USUAL.roll_over),
            ..Broadcast::default()
        })
    }

    /// Without blanks around it and with nothing for what is empty; complaints stand under `broadcast.<field>`. Whether
    /// the thumbnail exists is [`Broadcast::check_thumbnail`]'s.
    pub(crate) fn checked(&self, errors: &mut Vec<FieldError>) -> Broadcast {
        let mut complain = |field: &str, message: Message| {
            errors.push(FieldError { field: format!("broadcast.{field}"), message });
        };
        let typed = |text: &Option<String>| {
            let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty());
            text.map(|text| text.replace("\r\n", "\n"))
        };
        let mut broadcast = self.clone();
        (broadcast.title, broadcast.description) = (typed(&self.title), typed(&self.description));
        let hidden = |text: &String| text.contains(['<', '>']) || text.chars().any(|c| c != '\n' && is_hidden(c));
        if let Some(title) = &broadcast.title {
            if title.chars().count() > Broadcast::LONGEST_TITLE || hidden(title) || title.contains('\n') {
                complain("title", Message::new("broadcast-title").with("most", Broadcast::LONGEST_TITLE));
            } else if let Some(odd) = odd_field(title) {
                complain("title", Message::new("broadcast-field-unknown").with("name", odd.to_owned()));
            }
        }
        if let Some(text) = &broadcast.description {
            if text.len() > Broadcast::LONGEST_DESCRIPTION || hidden(text) {
                let message = Message::new("broadcast-description").with("most", Broadcast::LONGEST_DESCRIPTION);
                complain("description", message);
            } else if let Some(odd) = odd_field(text) {
                complain("description", Message::new("broadcast-field-unknown").with("name", odd.to_owned()));
            }
        }
        if let Some(tags) = &self.tags {
            let mut kept: Vec<String> = Vec::new();
            for tag in tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()) {
                if !kept.iter().any(|known| known == tag) {
                    kept.push(tag.to_owned());
                }
            }
            if tags_length(&kept) > Broadcast::LONGEST_TAGS || kept.iter().any(|tag| hidden(tag) || tag.contains(',')) {
                complain("tags", Message::new("broadcast-tags").with("most", Broadcast::LONGEST_TAGS));
            }
            broadcast.tags = Some(kept).filter(|kept| !kept.is_empty());
        }
        if self.category.is_some_and(|category| !CATEGORIES.contains(&category)) {
            complain("category", Message::new("choice-unknown"));
        }
        broadcast.playlist = match typed(&self.playlist) {
            None => None,
            Some(text) => {
                let id = playlist_id(&text);
                if id.is_none() {
                    complain("playlist", Message::new("broadcast-playlist"));
                }
                id
            }
        };
        broadcast
    }

    /// Complains where the thumbnail is not in the library; one that stood there before may have gone since.
    pub(crate) fn check_thumbnail(
        &self,
        rows: &mut Writer<'_>,
        before: Option<&Broadcast>,
        errors: &mut Vec<FieldError>,
    ) -> Result<()> {
        let Some(id) = self.thumbnail_id.filter(|id| before.and_then(|old| old.thumbnail_id) != Some(*id)) else {
            return Ok(());
        };
        if rows.get::<Thumbnail>(id)?.is_none_or(|row| row.value.going) {
            let message = Message::new("library-thumbnail-unknown");
            errors.push(FieldError { field: "broadcast.thumbnail_id".into(), message });
        }
        Ok(())
    }
}

/// Characters of tags as YouTube counts them.
pub(crate) fn tags_length(tags: &[String]) -> usize {
    let each = tags.iter().map(|tag| tag.chars().count() + if tag.contains(' ') { 2 } else { 0 });
    each.sum::<usize>() + tags.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_filled_by_the_occurrence() {
        let with = Filling { title: "Rain".into(), at: "2026-11-21T07:05".parse().unwrap(), number: 12 };
        for (text, filled) in [
            ("{title} {date} {time}", "Rain 2026-11-21 07:05"),
            ("#{number} · {day}.{month}.{year}", "#12 · 21.11.2026"),
            ("{ title }{", "Rain{"),
            ("a {b c} {unknown} }", "a {b c} {unknown} }"),
            ("", ""),
        ] {
            assert_eq!(fill(text, &with), filled, "{text}");
        }
    }

    #[test]
    fn what_youtube_would_refuse_is_refused_where_it_is_typed() {
        let text = |text: &str| Some(text.to_owned());
        for (field, broadcast) in [
            ("title", Broadcast { title: text(&"x".repeat(101)), ..Broadcast::default() }),
            ("title", Broadcast { title: text("a <b>"), ..Broadcast::default() }),
            ("title", Broadcast { title: text("{nubmer}"), ..Broadcast::default() }),
            ("description", Broadcast { description: text(&"ä".repeat(2501)), ..Broadcast::default() }),
            ("tags", Broadcast { tags: Some(vec!["x".repeat(501)]), ..Broadcast::default() }),
            ("tags", Broadcast { tags: Some(vec!["a,b".into()]), ..Broadcast::default() }),
            ("category", Broadcast { category: Some(3), ..Broadcast::default() }),
            ("playlist", Broadcast { playlist: text("no list!"), ..Broadcast::default() }),
        ] {
            let mut errors = Vec::new();
            broadcast.checked(&mut errors);
            let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(fields, [format!("broadcast.{field}")], "{broadcast:?}");
        }
        let good = Broadcast {
            title: text("  Rain {number} "),
            description: text("line\r\nline"),
            tags: Some(vec![" a ".into(), "a".into(), String::new()]),
            playlist: text("https://www.youtube.com/playlist?list=PLabc_1"),
            ..Broadcast::default()
        };
        let mut errors = Vec::new();
        let good = good.checked(&mut errors);
        assert!(errors.is_empty());
        assert_eq!(good.title.as_deref(), Some("Rain {number}"));
        assert_eq!((good.description.as_deref(), good.playlist.as_deref()), (Some("line\nline"), Some("PLabc_1")));
        assert_eq!(good.tags, Some(vec!["a".to_owned()]));
    }
}
