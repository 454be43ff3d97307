//! `telegram_config.json` becomes a destination of notices.

use std::collections::BTreeSet;

use serde_json::Value;

use super::journal::{self, Mark};
use super::records::{Place, field, flag};
use super::report::{Fate, Item, What};
use super::{Ground, Walk, failure};
use crate::error::Result;
use crate::notify::{DeskEditor, Kind, NewDestination, NewWay};
use crate::text::{Locale, Message};

/// What the file says. It is one object, which reads as rows of its fields.
#[derive(Default)]
struct Telegram {
    enabled: bool,
    token: Option<String>,
    chat: Option<String>,
    kinds: BTreeSet<Kind>,
}

impl Telegram {
    fn read(fields: Vec<(String, Value)>) -> Telegram {
        let whole = Value::Object(fields.into_iter().collect());
        let wants = whole.get("notifications").cloned().unwrap_or_default();
        let mut kinds = BTreeSet::new();
        for (name, told) in [
            ("stream_start", &[Kind::Started][..]),
            ("stream_end", &[Kind::Ended]),
            ("stream_error", &[Kind::Retrying, Kind::Back, Kind::Failed, Kind::Missed]),
        ] {
            if flag(&wants, name) {
                kinds.extend(told);
            }
        }
        Telegram {
            enabled: flag(&whole, "enabled"),
            token: field(&whole, "bot_token"),
            chat: field(&whole, "chat_id"),
            kinds,
        }
    }

    /// Nobody ever filled it in.
    fn is_blank(&self) -> bool {
        let blank = |text: &Option<String>| text.as_deref().is_none_or(|text| text.starts_with("YOUR_"));
        blank(&self.token) || blank(&self.chat)
    }
}

impl Walk {
    pub(super) async fn notices(&mut self) -> Result<()> {
        for database in self.databases("telegram_config.json") {
            let read = |place: Place, _: Option<&str>, value: &Value| Some((place.row, value.clone()));
            let fields = self.read(&database, read).await?;
            if fields.is_empty() {
                continue;
            }
            let telegram = Telegram::read(fields);
            let item = Item::new(What::Notice).row(super::shown(&database.path), "bot_token");
            let item = match self.owner(None, database.person.as_deref()).await? {
                _ if telegram.is_blank() => item.unneeded(Message::new("migrate-telegram-blank")),
                Err(reason) => item.skipped(reason),
                Ok(owner) => {
                    let item = item.owner(&owner.tenant);
                    self.ground.notice(&owner, telegram, item).await?
                }
            };
            self.teller.tell(item).await?;
        }
        Ok(())
    }
}

impl Ground {
    async fn notice(&self, owner: &super::Owner, telegram: Telegram, item: Item) -> Result<Item> {
        let (token, chat) = (telegram.token.unwrap_or_default(), telegram.chat.unwrap_or_default());
        // The bot's number is no secret; the chat tells two destinations of one bot apart.
        let bot = token.split(':').next().unwrap_or_default();
        let identity = journal::identity(What::Notice, &[bot.as_bytes(), chat.as_bytes()]);
        if let Some(mark) = journal::find(owner.library(), identity.clone()).await? {
            return Ok(Item { id: Some(mark.id), ..item.fate(Fate::Present) });
        }
        if !self.wants(What::Notice) {
            return Ok(item.unneeded(Message::new("migrate-not-asked")));
        }
        let new = NewDestination {
            name: String::new(),
            way: NewWay::Telegram { token, chat },
            kinds: Some(telegram.kinds),
            lead_minutes: None,
            digest_hour: None,
            locale: Locale::Id,
        };
        if let Err(cause) = new.check() {
            return Ok(item.skipped(failure(cause)));
        }
        let (true, Some(editor), Some(user)) = (self.applies(), &owner.editor, &owner.user) else { return Ok(item) };
        let desk = DeskEditor::of_user(editor, user);
        let home = self.home.clone();
        let from = item.row.as_ref().map(|(database, _)| database.clone()).unwrap_or_default();
        let made = desk.create_with(new, telegram.enabled, move |rows, id| {
            let mark =
                Mark { what: What::Notice, id, home: home.clone(), from: from.clone(), file: None, at: rows.now() };
            mark.write(rows, &identity)
        });
        match made.await {
            Ok(made) => Ok(Item { id: Some(made.view.row.id()), ..item }),
            Err(cause) => Ok(item.skipped(failure(cause))),
        }
    }
}
