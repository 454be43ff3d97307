//! What rows leave open, and what answers mean.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::ground::plain;
use super::judge::{Case, Judge};
use crate::text::{Locale, Message};

/// Choices that are shown of one question where rows say something.
const MOST_OPTIONS: usize = 100;
/// Choices where they say nothing, so that anything of the library may be meant.
const MOST_OF_ALL: usize = 2000;

/// The row comes in as a new one of whoever imports.
pub(super) const MINE: Uuid = Uuid::from_u128(1);
/// The row stays out.
pub(super) const LEAVE: Uuid = Uuid::from_u128(2);

/// What is asked where a row can be meant in more than one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// Whether rows of somebody else come in as one's own.
    Owner,
    /// Which video a name means.
    Video,
    /// Where the stream goes.
    Key,
    /// Which stream a title means.
    Stream,
    /// Which thumbnail a name means.
    Thumbnail,
}

impl Question {
    const ALL: [Question; 5] = [Question::Owner, Question::Video, Question::Key, Question::Stream, Question::Thumbnail];

    /// The word used in forms and the API.
    pub fn code(self) -> &'static str {
        match self {
            Question::Owner => "owner",
            Question::Video => "video",
            Question::Key => "key",
            Question::Stream => "stream",
            Question::Thumbnail => "thumbnail",
        }
    }

    /// Reads [`Question::code`].
    pub fn parse(code: &str) -> Option<Question> {
        Question::ALL.into_iter().find(|question| question.code() == code)
    }
}

/// An answer: what every row means that asks the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was asked.
    pub question: Question,
    /// What the rows say; empty where they say nothing.
    pub found: String,
    /// The option: its id, what it is shown as, or what it is called where nothing else is called so.
    pub choice: String,
}

/// Something that may be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Names it.
    pub id: Uuid,
    title: String,
    question: Question,
}

impl Choice {
    /// What an answer names it by.
    pub fn code(&self) -> String {
        match self.id {
            MINE => "mine".to_owned(),
            LEAVE => "leave".to_owned(),
            id => id.to_string(),
        }
    }

    /// What a person is shown.
    pub fn title(&self, locale: Locale) -> String {
        match (self.question, self.id) {
            (Question::Owner, MINE) => Message::new("import-owner-mine").in_locale(locale),
            (Question::Owner, _) => Message::new("import-owner-leave").in_locale(locale),
            _ => self.title.clone(),
        }
    }
}

/// A question with what may be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What is asked.
    pub question: Question,
    /// What the rows say.
    pub found: String,
    /// What it may mean; the first of them, where there are very many.
    pub options: Vec<Choice>,
    /// How many more may be answered.
    pub more: usize,
    /// Rows wait for it; else they are taken without, if nobody answers.
    pub needed: bool,
    /// What was answered.
    pub answer: Option<Choice>,
    /// An answer that means none of the options, or several.
    pub refused: Option<String>,
    /// How many rows wait for it.
    pub rows: usize,
}

impl Ask {
    /// Says of an answer that it is none, and what would be one.
    pub fn refusal(&self, locale: Locale) -> Option<Message> {
        let refused = self.refused.as_deref()?;
        let choices = self.options.iter().take(20).map(|choice| match self.question {
            Question::Owner => choice.code(),
            _ => choice.title(locale),
        });
        let choices = choices.collect::<Vec<_>>().join("; ");
        let message = Message::new("import-answer-unknown").with("answer", refused).with("choices", choices);
        Some(message.with("question", format!("{}:{}", self.question.code(), self.found)))
    }
}

/// Questions so far, in the order in which they are shown.
#[derive(Default)]
pub(super) struct Asks(BTreeMap<(Question, String), Ask>);

impl Asks {
    pub(super) fn take(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.0).into_values().collect()
    }
}

/// What options are shown as; those that would look the same get their ids.
fn distinct(mut options: Vec<Choice>) -> Vec<Choice> {
    let mut count: HashMap<String, usize> = HashMap::new();
    for option in &options {
        *count.entry(plain(&option.title)).or_default() += 1;
    }
    for option in &mut options {
        if count.get(&plain(&option.title)).is_some_and(|count| *count > 1) {
            option.title = format!("{} · {}", option.title, option.id);
        }
    }
    options
}

fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

impl Judge<'_> {
    /// Of several things that a cell may mean the one that was answered; else asks. Answers are remembered with the
    /// question, so that they can be changed. A row waits for what is `needed`.
    pub(super) fn choose(
        &mut self,
        case: &mut Case<'_>,
        question: Question,
        found: &str,
        ids: &[Uuid],
        needed: bool,
    ) -> Option<Uuid> {
        let key = (question, plain(found));
        if !self.asks.0.contains_key(&key) {
            let ask = self.ask(question, found.trim(), ids, needed);
            self.asks.0.insert(key.clone(), ask);
        }
        // Rows that ask the same may have different choices.
        let late = self.answers.get(&key).and_then(|text| Uuid::parse_str(text).ok()).filter(|id| ids.contains(id));
        let late = late.map(|id| Choice { id, title: self.label(question, id), question });
        let ask = self.asks.0.get_mut(&key)?;
        if ask.answer.is_none()
            && let Some(choice) = late
        {
            (ask.answer, ask.refused) = (Some(choice), None);
        }
        let answer = ask.answer.as_ref().map(|choice| choice.id).filter(|id| ids.contains(id));
        if answer.is_none() {
            ask.rows += 1;
            if needed {
                case.asks.push((question, found.trim().to_owned()));
            }
        }
        answer
    }

    fn ask(&self, question: Question, found: &str, ids: &[Uuid], needed: bool) -> Ask {
        let option = |id: &Uuid| Choice { id: *id, title: self.label(question, *id), question };
        let mut options = distinct(ids.iter().map(option).collect());
        let text = self.answers.get(&(question, plain(found)));
        let answer = text.and_then(|text| self.meant(question, text, &options));
        let most = if found.is_empty() { MOST_OF_ALL } else { MOST_OPTIONS };
        let more = options.len().saturating_sub(most);
        options.truncate(most);
        let refused = text.filter(|_| answer.is_none()).cloned();
        Ask { question, found: found.to_owned(), options, more, needed, answer, refused, rows: 0 }
    }

    /// Which option a text means.
    fn meant(&self, question: Question, text: &str, options: &[Choice]) -> Option<Choice> {
        let named = |id: Uuid| options.iter().find(|option| option.id == id);
        if let Some(found) = Uuid::parse_str(text.trim()).ok().and_then(named) {
            return Some(found.clone());
        }
        let wanted = plain(text);
        let is_shown = |option: &&Choice| plain(&option.title) == wanted || option.code() == wanted;
        if let Some(found) = only(options.iter().filter(is_shown)) {
            return Some(found.clone());
        }
        let ids = match question {
            Question::Owner => Vec::new(),
            Question::Video => self.ground.videos.find(text),
            Question::Thumbnail => self.ground.thumbnails.find(text),
            Question::Stream => self.ground.stream_names.find(text),
            Question::Key => {
                let places = self.ground.keys_of(text, None).into_iter().flatten();
                places.filter_map(|place| Some(self.ground.keys.get(place)?.target.id)).collect()
            }
        };
        only(ids.into_iter().filter_map(named)).cloned()
    }

    /// What an option is shown as.
    fn label(&self, question: Question, id: Uuid) -> String {
        match question {
            Question::Owner => if id == MINE { "mine" } else { "leave" }.to_owned(),
            Question::Video => self.ground.videos.label(id),
            Question::Thumbnail => self.ground.thumbnails.label(id),
            Question::Stream => self.stream_label(id),
            Question::Key => {
                let key = self.ground.keys.iter().find(|key| key.target.id == id);
                key.map(|key| self.ground.key_title(key)).unwrap_or_default()
            }
        }
    }

    /// What a stream is shown as where it is asked for: with its videos and places.
    fn stream_label(&self, id: Uuid) -> String {
        let Some((stream, _)) = self.streams.get(&id) else { return String::new() };
        let videos = stream.videos.iter().filter_map(|id| self.ground.videos.title(*id)).take(3);
        let places = stream.targets.iter().map(super::target_label);
        let parts =
            [stream.title.clone(), videos.collect::<Vec<_>>().join(", "), places.collect::<Vec<_>>().join(", ")];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
    }
}
