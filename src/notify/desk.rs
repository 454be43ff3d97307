//! What people do with their destinations. A desk is one user's: another's destination is absent, in the same tenant
//! too.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::SecretString;
use uuid::Uuid;

use super::http::parse_address;
use super::outbox::{clear, waiting};
use super::rows::{Delivery, Destination, Kind, MARKS, Way};
use super::{telegram, webhook};
use crate::audit;
use crate::auth::{Identity, Role, User, UserName};
use crate::error::{Error, FieldError, Result};
use crate::foundation::Foundation;
use crate::library::{Editor, Library};
use crate::store::rows::{Reader, Row, Writer};
use crate::text::{Locale, Message};

/// Destinations of one user, and of all users of one tenant.
const MOST: usize = 10;
const MOST_OF_TENANT: u64 = 50;
const LONGEST_NAME: usize = 80;
/// "Starts soon" is told so long ahead at most, in minutes, and so long where nobody says.
pub(super) const LONGEST_LEAD: u16 = 24 * 60;
const LEAD: u16 = 10;
const DIGEST_HOUR: i8 = 7;
/// After a change the old secret signs beside the new one for so long.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// May look at one user's destinations.
#[derive(Clone)]
pub struct Desk {
    library: Library,
    pub(super) user: UserName,
    pub(super) drawer: Drawer,
    is_operator: bool,
}

/// May look at and change one user's destinations.
#[derive(Clone)]
pub struct DeskEditor {
    desk: Desk,
    pub(super) editor: Editor,
}

impl std::ops::Deref for DeskEditor {
    type Target = Desk;
    fn deref(&self) -> &Desk {
        &self.desk
    }
}

/// A destination with how telling it goes.
#[derive(Debug, Clone)]
pub struct View {
    /// The row.
    pub row: Row<Destination>,
    /// How telling it goes.
    pub delivery: Delivery,
    /// Notices that wait for it.
    pub waiting: usize,
}

/// A destination, and a secret that is shown this once.
pub struct Made {
    /// The destination.
    pub view: View,
    /// What a webhook is signed with.
    pub secret: Option<SecretString>,
}

/// How a new destination is reached.
#[derive(Debug, Clone)]
pub enum NewWay {
    /// By Telegram.
    Telegram {
        /// As @BotFather gives it out.
        token: String,
        /// Number of the chat, or `@channel`.
        chat: String,
    },
    /// By a webhook.
    Webhook {
        /// Where to.
        url: String,
    },
}

/// A destination to be made. What is absent is as usual.
#[derive(Debug, Clone)]
pub struct NewDestination {
    /// What the user calls it; the way's own word where it is empty.
    pub name: String,
    /// How to get there.
    pub way: NewWay,
    /// What is told; everything that the user may be told where absent.
    pub kinds: Option<BTreeSet<Kind>>,
    /// Minutes before an occurrence.
    pub lead_minutes: Option<u16>,
    /// Hour of the digest.
    pub digest_hour: Option<i8>,
    /// Language of the page where it is made.
    pub locale: Locale,
}

impl NewDestination {
    /// Whether token and chat, or address, can be what they should be.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the first field that makes no sense.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.way {
            NewWay::Telegram { token, chat } => {
                telegram::parse_token(token)?;
                telegram::parse_chat(chat).map(drop)
            }
            NewWay::Webhook { url } => parse_address(url).map(drop),
        }
    }
}

/// What is to be changed of a destination; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// See [`Destination`].
    pub name: Option<String>,
    /// See [`Destination`].
    pub enabled: Option<bool>,
    /// See [`Destination`].
    pub kinds: Option<BTreeSet<Kind>>,
    /// See [`Destination`].
    pub lead_minutes: Option<u16>,
    /// See [`Destination`].
    pub digest_hour: Option<i8>,
    /// Telegram: a new token.
    pub token: Option<String>,
    /// Telegram: another chat.
    pub chat: Option<String>,
    /// Webhook: another address.
    pub url: Option<String>,
}

/// Collects what is wrong with several fields.
#[derive(Default)]
struct Complaints(Vec<FieldError>);

impl Complaints {
    fn keep<T>(&mut self, read: Result<T>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(Error::Invalid(fields)) => {
                self.0.extend(fields);
                None
            }
            // Reading text fails in no other way.
            Err(_) => None,
        }
    }

    fn add(&mut self, field: &str, message: Message) {
        self.0.push(FieldError { field: field.into(), message });
    }

    fn over(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}

impl Desk {
    /// The desk of whoever is logged in.
    pub fn of(foundation: &Foundation, identity: &Identity) -> Desk {
        Desk {
            library: Library::open(foundation, identity.scope()),
            user: identity.user.name.clone(),
            drawer: Drawer { user: identity.user.id },
            is_operator: identity.operator().is_ok(),
        }
    }

    /// What this user may be told, in the order of the form.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        let is_operator = self.is_operator;
        Kind::ALL.into_iter().filter(move |kind| is_operator || !kind.is_for_operators())
    }

    /// The user's destinations, oldest first.
    pub async fn destinations(&self) -> Result<Vec<View>> {
        let drawer = self.drawer;
        self.library
            .rows()
            .read(move |rows| drawer.ids(rows)?.into_iter().map(|id| view(rows, drawer, id)).collect())
            .await
    }

    /// One of them.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the user has none of this id.
    pub async fn destination(&self, id: Uuid) -> Result<View> {
        let drawer = self.drawer;
        self.library.rows().read(move |rows| view(rows, drawer, id)).await
    }

    fn check_common(&self, change: &Change, complaints: &mut Complaints) -> Option<String> {
        if let Some(kinds) = &change.kinds
            && kinds.iter().any(|kind| kind.is_for_operators() && !self.is_operator)
        {
            complaints.add("kinds", Message::new("notice-kind-operators"));
        }
        if change.lead_minutes.is_some_and(|minutes| !(1..=LONGEST_LEAD).contains(&minutes)) {
            complaints.add("lead_minutes", Message::new("notice-lead-range").with("most", LONGEST_LEAD));
        }
        if change.digest_hour.is_some_and(|hour| !(0..=23).contains(&hour)) {
            complaints.add("digest_hour", Message::new("notice-hour-range"));
        }
        let name = change.name.as_deref().map(str::trim)?;
        let hidden = name.chars().any(crate::library::names::is_hidden);
        if name.is_empty() || name.chars().count() > LONGEST_NAME || hidden {
            complaints.add("name", Message::new("notice-name-length").with("most", LONGEST_NAME));
        }
        Some(name.to_owned())
    }
}

/// One user's destinations within a library: the only way from a person to a row. It is made of a login alone, and the
/// user is part of the key that is looked up, so that another's destination is not found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawer {
    user: Uuid,
}

impl Drawer {
    fn ids(self, rows: &Reader<'_>) -> Result<Vec<Uuid>> {
        rows.ids_at::<Destination>("user", self.user.as_bytes())
    }

    fn find(self, rows: &Reader<'_>, id: Uuid) -> Result<Row<Destination>> {
        rows.index_value::<Destination>("user", self.user.as_bytes(), id)?.ok_or(Error::NotFound)?;
        rows.need::<Destination>(id)
    }

    /// To be changed; `expected` is the version that its user saw.
    pub(super) fn take(self, rows: &mut Writer<'_>, id: Uuid, expected: Option<u64>) -> Result<Row<Destination>> {
        self.find(rows.view(), id)?;
        rows.need::<Destination>(id, expected)
    }
}

fn view(rows: &Reader<'_>, drawer: Drawer, id: Uuid) -> Result<View> {
    let row = drawer.find(rows, id)?;
    let delivery = rows.value(&Delivery::key(id))?.unwrap_or_default();
    let waiting = waiting(rows)?.iter().filter(|notice| notice.destination == id).count();
    Ok(View { row, delivery, waiting })
}

/// Takes a destination with everything that belongs to it out of a library.
pub(super) fn remove(rows: &mut Writer<'_>, row: &Row<Destination>) -> Result<()> {
    clear(rows, row.id())?;
    rows.delete_value(&Delivery::key(row.id()));
    rows.delete(row);
    Ok(())
}

/// A changed or repaired destination is tried at once; what went wrong before is history.
fn begin_anew(rows: &mut Writer<'_>, id: Uuid) -> Result<()> {
    let key = Delivery::key(id);
    let Some(before) = rows.value::<Delivery>(&key)? else { return Ok(()) };
    rows.put_value(&key, &Delivery { failures: 0, hold_until: None, fault: None, given_up: 0, ..before })
}

impl DeskEditor {
    /// The desk of whoever is logged in, to be changed.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a demo user.
    pub fn of(foundation: &Foundation, identity: &Identity) -> Result<DeskEditor> {
        Ok(DeskEditor { desk: Desk::of(foundation, identity), editor: Editor::of(foundation, identity)? })
    }

    /// The desk of another user, for an operator who brings what they had in an old home.
    pub(crate) fn of_user(editor: &Editor, user: &User) -> DeskEditor {
        let (library, is_operator) = (Library::clone(editor), user.role == Role::Admin);
        let desk = Desk { library, user: user.name.clone(), drawer: Drawer { user: user.id }, is_operator };
        DeskEditor { desk, editor: editor.clone() }
    }

    /// Makes a destination.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that makes no sense; [`Error::Conflict`] where there are enough.
    pub async fn create(&self, new: NewDestination) -> Result<Made> {
        self.create_with(new, true, |_, _| Ok(())).await
    }

    /// As [`DeskEditor::create`], maybe not `enabled`, with what `with` writes in the same batch.
    pub(crate) async fn create_with(
        &self,
        new: NewDestination,
        enabled: bool,
        mut with: impl FnMut(&mut Writer<'_>, Uuid) -> Result<()> + Send + 'static,
    ) -> Result<Made> {
        let (tenant, id) = (self.editor.tenant().clone(), Uuid::now_v7());
        let sealing = self.editor.foundation().vault().sealing();
        let typed = Some(new.name.trim().to_owned()).filter(|name| !name.is_empty());
        let fallback = Message::new(match new.way {
            NewWay::Telegram { .. } => "notice-via-telegram",
            NewWay::Webhook { .. } => "notice-via-webhook",
        });
        let common = Change {
            name: Some(typed.unwrap_or_else(|| fallback.in_locale(new.locale))),
            kinds: Some(new.kinds.unwrap_or_else(|| self.kinds().collect())),
            lead_minutes: Some(new.lead_minutes.unwrap_or(LEAD)),
            digest_hour: Some(new.digest_hour.unwrap_or(DIGEST_HOUR)),
            ..Change::default()
        };
        let mut complaints = Complaints::default();
        let name = self.check_common(&common, &mut complaints);
        let (way, secret) = match new.way {
            NewWay::Telegram { token, chat } => {
                let token = complaints.keep(telegram::parse_token(&token));
                let chat = complaints.keep(telegram::parse_chat(&chat));
                complaints.over()?;
                let (bot, token) = token.ok_or(Error::NotFound)?;
                let token = telegram::seal(&sealing, &tenant, id, &token)?;
                (Way::Telegram { token, bot, chat: chat.unwrap_or_default() }, None)
            }
            NewWay::Webhook { url } => {
                let url = complaints.keep(parse_address(&url));
                complaints.over()?;
                let secret = webhook::new_secret()?;
                let sealed = webhook::seal(&sealing, &tenant, id, &secret)?;
                let url = url.map(String::from).unwrap_or_default();
                (Way::Webhook { url, secret: sealed, previous: None }, Some(secret))
            }
        };
        let destination = Destination {
            user: self.user.clone(),
            user_id: self.drawer.user,
            name: name.unwrap_or_default(),
            enabled,
            kinds: common.kinds.unwrap_or_default(),
            lead_minutes: common.lead_minutes.unwrap_or(LEAD),
            digest_hour: common.digest_hour.unwrap_or(DIGEST_HOUR),
            locale: new.locale,
            way,
        };
        self.mark().await?;
        let (actor, drawer) = (self.editor.actor().clone(), self.drawer);
        self.editor
            .rows()
            .write(move |rows| {
                let own = drawer.ids(rows.view())?.len();
                if own >= MOST || rows.view().count_by::<Destination>("user", |_, _| true)? >= MOST_OF_TENANT {
                    return Err(Error::Conflict(Message::new("notice-destinations-many").with("most", MOST)));
                }
                audit::record(rows, &actor, "notices.create", format!("{id} {}", destination.name))?;
                with(rows, id)?;
                rows.insert_with_id(id, &tenant, &actor, destination.clone()).map(drop)
            })
            .await?;
        drop(sealing);
        Ok(Made { view: self.destination(id).await?, secret })
    }

    /// Marks the tenant as one that wants notices. Before its row is written, so that a crash between the two leaves a
    /// mark too many and never one too few.
    async fn mark(&self) -> Result<()> {
        #[allow(clippy::disallowed_methods, reason = "which tenants want notices is over all of them")]
        let platform = self.editor.foundation().store().platform();
        let key = format!("{MARKS}{}", self.editor.tenant());
        platform
            .write(move |rows| match rows.value::<bool>(&key)? {
                Some(_) => Ok(()),
                None => rows.put_value(&key, &true),
            })
            .await
    }

    /// Changes a destination; what waits for it is tried at once.
    ///
    /// # Errors
    /// As [`DeskEditor::create`]; [`Error::Stale`] where `expected` is not its version.
    pub async fn change(&self, id: Uuid, expected: Option<u64>, change: Change) -> Result<View> {
        let before = self.destination(id).await?.row.value;
        let (tenant, sealing) = (self.editor.tenant().clone(), self.editor.foundation().vault().sealing());
        let mut complaints = Complaints::default();
        let name = self.check_common(&change, &mut complaints);
        let (mut token, mut chat, mut url) = (None, None, None);
        match before.way {
            Way::Telegram { .. } => {
                token = change.token.as_deref().and_then(|token| complaints.keep(telegram::parse_token(token)));
                chat = change.chat.as_deref().and_then(|chat| complaints.keep(telegram::parse_chat(chat)));
                if change.url.is_some() {
                    complaints.add("url", Message::new("notice-field-other"));
                }
            }
            Way::Webhook { .. } => {
                url = change.url.as_deref().and_then(|url| complaints.keep(parse_address(url)));
                for (field, given) in [("token", &change.token), ("chat_id", &change.chat)] {
                    if given.is_some() {
                        complaints.add(field, Message::new("notice-field-other"));
                    }
                }
            }
        }
        complaints.over()?;
        let (actor, drawer) = (self.editor.actor().clone(), self.drawer);
        self.editor
            .rows()
            .write(move |rows| {
                let row = drawer.take(rows, id, expected)?;
                let mut changed = row.value.clone();
                changed.name = name.clone().unwrap_or(changed.name);
                changed.enabled = change.enabled.unwrap_or(changed.enabled);
                changed.kinds = change.kinds.clone().unwrap_or(changed.kinds);
                changed.lead_minutes = change.lead_minutes.unwrap_or(changed.lead_minutes);
                changed.digest_hour = change.digest_hour.unwrap_or(changed.digest_hour);
                match &mut changed.way {
                    Way::Telegram { token: sealed, bot, chat: place } => {
                        if let Some((number, token)) = &token {
                            *sealed = telegram::seal(&sealing, &tenant, id, token)?;
                            bot.clone_from(number);
                        }
                        if let Some(chat) = &chat {
                            place.clone_from(chat);
                        }
                    }
                    Way::Webhook { url: place, .. } => {
                        if let Some(url) = &url {
                            *place = url.to_string();
                        }
                    }
                }
                if changed == row.value {
                    return Ok(());
                }
                begin_anew(rows, id)?;
                audit::record(rows, &actor, "notices.change", format!("{id} {}", changed.name))?;
                rows.update(&row, changed).map(drop)
            })
            .await?;
        self.destination(id).await
    }

    /// Gives a webhook another secret; the old one signs too for a day.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a destination that is no webhook.
    pub async fn rotate(&self, id: Uuid) -> Result<Made> {
        let (tenant, sealing) = (self.editor.tenant().clone(), self.editor.foundation().vault().sealing());
        let secret = webhook::new_secret()?;
        let sealed = webhook::seal(&sealing, &tenant, id, &secret)?;
        let (actor, drawer) = (self.editor.actor().clone(), self.drawer);
        self.editor
            .rows()
            .write(move |rows| {
                let row = drawer.take(rows, id, None)?;
                let mut changed = row.value.clone();
                let Way::Webhook { secret, previous, .. } = &mut changed.way else {
                    return Err(Error::Conflict(Message::new("notice-no-secret")));
                };
                *previous = Some((std::mem::replace(secret, sealed.clone()), rows.now() + OVERLAP));
                audit::record(rows, &actor, "notices.rotate-secret", format!("{id} {}", changed.name))?;
                rows.update(&row, changed).map(drop)
            })
            .await?;
        drop(sealing);
        Ok(Made { view: self.destination(id).await?, secret: Some(secret) })
    }

    /// Deletes a destination with what waits for it.
    ///
    /// # Errors
    /// [`Error::Stale`] where `expected` is not its version.
    pub async fn delete(&self, id: Uuid, expected: Option<u64>) -> Result<()> {
        let (actor, drawer) = (self.editor.actor().clone(), self.drawer);
        self.editor
            .rows()
            .write(move |rows| {
                let row = drawer.take(rows, id, expected)?;
                audit::record(rows, &actor, "notices.delete", format!("{id} {}", row.value.name))?;
                remove(rows, &row)
            })
            .await
    }
}
