//! Whose what comes becomes: of the person whom a row names, in whose folder it stands, or who was asked for.

use std::collections::HashSet;
use std::sync::Arc;

use super::records::UserRecord;
use super::report::What;
use super::{Walk, database, files, journal};
use crate::auth::{OldHash, Tenant, User, UserName, WriteScope};
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::schedule::Intended;
use crate::store::blocking;
use crate::text::Message;

/// Whose something becomes.
#[derive(Clone)]
pub(super) struct Owner {
    /// The library.
    pub tenant: Tenant,
    /// Their user here; nothing where a plan will make one.
    pub user: Option<User>,
    /// Their library; nothing where a plan will make one.
    pub editor: Option<Editor>,
    /// Bytes that it takes yet; for a plan.
    pub left: Arc<std::sync::atomic::AtomicU64>,
    /// What a plan would have made by now.
    pub planned: Arc<tokio::sync::Mutex<Planned>>,
}

/// Streams and schedules that a plan would make in one library.
#[derive(Default)]
pub(super) struct Planned {
    /// What the streams are known by again.
    pub streams: HashSet<String>,
    /// Streams that are there.
    pub there: Option<u64>,
    /// The schedules.
    pub schedules: Intended,
}

impl Owner {
    /// Their library, to look into.
    pub fn library(&self) -> Option<&Library> {
        self.editor.as_deref()
    }

    /// Counts bytes that a plan would take in; false where there is no room for them.
    pub fn book(&self, bytes: u64) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
}

impl Walk {
    /// Whose something becomes that a row says is `named`'s. What stands in the folder of one `person` is theirs: it
    /// gives nothing to others, and has nothing from them.
    pub(super) async fn owner(&mut self, named: Option<&str>, person: Option<&str>) -> Result<Result<Owner, Message>> {
        if let (Some(name), Some(person)) = (named, person)
            && name != person
        {
            return Ok(Err(Message::new("migrate-owner-foreign").with("name", name).with("person", person)));
        }
        let name = named.or(person).unwrap_or(self.ground.request.owner.as_str()).to_owned();
        if let Some(known) = self.owners.get(&name) {
            return Ok(known.clone());
        }
        let found = self.look_up(&name).await?;
        if let Ok(owner) = &found {
            self.files.remember(&owner.tenant, journal::files(owner.library(), &self.ground.home).await?);
        }
        self.owners.insert(name, found.clone());
        Ok(found)
    }

    async fn look_up(&self, name: &str) -> Result<Result<Owner, Message>> {
        let unknown = || Message::new("migrate-owner-unknown").with("name", name);
        let Ok(user_name) = UserName::parse(name) else { return Ok(Err(unknown())) };
        let (moving, operator) = (&self.ground.moving, &self.ground.operator);
        let user = match moving.accounts.get(operator, user_name.clone()).await {
            Ok((user, _)) => user,
            Err(Error::NotFound) => {
                let Some(left) = self.coming.get(&user_name) else { return Ok(Err(unknown())) };
                let left = Arc::new((*left).into());
                return Ok(Ok(Owner {
                    tenant: user_name.own_tenant(),
                    user: None,
                    editor: None,
                    left,
                    planned: Arc::default(),
                }));
            }
            Err(cause) => return Err(cause),
        };
        if user.deleting {
            return Ok(Err(unknown()));
        }
        let proof: WriteScope = operator.on_behalf(&user.tenant);
        let account = moving.tenancy.own_account(&proof).await?;
        let left = account.limit.saturating_sub(account.usage.used() + account.usage.reserved);
        let editor = Editor::open(&moving.foundation, &proof);
        if self.ground.applies() {
            journal::remember_home(&editor, &self.ground.home, self.ground.source.path()).await?;
        }
        Ok(Ok(Owner {
            tenant: user.tenant.clone(),
            user: Some(user),
            editor: Some(editor),
            left: Arc::new(left.into()),
            planned: Arc::default(),
        }))
    }

    /// Refuses an owner whom nobody knows, before anything is done: here is no such user, and the old home brings none.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `owner`.
    pub(super) async fn check_owner(&self) -> Result<()> {
        let (name, only) = (&self.ground.request.owner, &self.ground.request.only);
        let needs_none = |what: &What| matches!(what, What::User | What::Sample);
        if !only.is_empty() && only.iter().all(needs_none) {
            return Ok(());
        }
        let is_known = self.look_up(name.as_str()).await?.is_ok();
        if is_known || (self.ground.wants(What::User) && self.brings(name).await?) {
            return Ok(());
        }
        Err(Error::field("owner", Message::new("migrate-owner-nobody").with("name", name.as_str())))
    }

    /// Whether the old home has somebody of that name who can become a user.
    async fn brings(&self, name: &UserName) -> Result<bool> {
        for database in self.databases("users.json").into_iter().filter(|database| database.person.is_none()) {
            let readable = self.files.get(&database.path).is_some_and(|slot| files::refusal(slot.nature).is_none());
            if !readable {
                continue;
            }
            let (source, name) = (self.ground.source.clone(), name.clone());
            let found = blocking(move || {
                let mut found = false;
                let Ok(file) = source.open_file(&database.path, None) else { return Ok(false) };
                // What cannot be read is told where its rows are.
                let _ = database::read(file, database::MOST_BYTES, |row, value| {
                    let person =
                        UserRecord::read(&row, &value).filter(|person| person.user_name().as_ref() == Ok(&name));
                    found |= person.is_some_and(|it| it.role().is_some() && OldHash::parse(&it.hash).is_some());
                });
                Ok(found)
            });
            if found.await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
