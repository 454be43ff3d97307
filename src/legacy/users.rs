//! People of the old home become users: role, plan and what was kept of their password. Names are parsed, never bent.

use std::collections::{BTreeMap, HashSet};

use super::records::UserRecord;
use super::report::{Fate, Item, What};
use super::{Ground, Walk, journal};
use crate::auth::{MovedIn, NewPassword, OldHash, Role, UserName};
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::tenancy::{NewMember, Plan};
use crate::text::Message;

/// What becomes of one person.
struct Told {
    fate: Fate,
    reason: Option<Message>,
    /// Bytes that a user whom a plan would make may use.
    coming: Option<u64>,
    /// Role and plan of a user who is made.
    becomes: Option<Message>,
}

impl Told {
    fn of(fate: Fate, reason: Option<Message>) -> Told {
        Told { fate, reason, coming: None, becomes: None }
    }

    fn skipped(reason: Message) -> Told {
        Told::of(Fate::Skipped, Some(reason))
    }
}

/// The plan that somebody gets.
fn plan_of(role: Role, plan: Option<Plan>) -> Plan {
    plan.unwrap_or_else(|| Plan::usual(role))
}

/// What it gives.
fn storage(ground: &Ground, role: Role, plan: Option<Plan>) -> u64 {
    let limits = &ground.moving.foundation.config().limits;
    limits.storage_mib.map_or(plan_of(role, plan).storage(), |mib| mib << 20)
}

impl Walk {
    pub(super) async fn users(&mut self) -> Result<()> {
        let mut people = Vec::new();
        for database in self.databases("users.json") {
            // Whoever writes into one person's folder makes nobody a user, or an admin.
            if let Some(person) = &database.person {
                let name = super::source::shown(&database.path);
                self.files.tell(&database.path, name.as_str());
                let reason = Message::new("migrate-users-of-person").with("person", person.as_str());
                self.teller.tell(Item::new(What::Database).file(name).skipped(reason)).await?;
                continue;
            }
            people.extend(
                self.read(&database, |place, _, record| Some((UserRecord::read(&place.row, record)?, place))).await?,
            );
        }
        // Names that differ only in case: one of them at most is a name here.
        let mut spellings: BTreeMap<String, HashSet<String>> = BTreeMap::new();
        for (person, _) in &people {
            spellings.entry(person.name.to_lowercase()).or_default().insert(person.name.clone());
        }
        // Whoever came keeps the old password, unless it was changed since; all others never had it here.
        let moved = self.ground.moving.accounts.moved_in(&self.ground.operator).await?;
        let came: HashSet<UserName> =
            moved.into_iter().filter(|(_, moved)| moved.home == self.ground.home).map(|(name, _)| name).collect();
        let mut seen = HashSet::new();
        for (person, place) in people {
            let item = Item::new(What::User).row(place.database, place.row).title(person.name.as_str());
            if !self.ground.wants(What::User) {
                self.teller.tell(item.unneeded(Message::new("migrate-not-asked"))).await?;
                continue;
            }
            let collides = spellings.get(&person.name.to_lowercase()).is_some_and(|forms| forms.len() > 1);
            let told = match person.user_name() {
                Err(_) if collides => {
                    Told::skipped(Message::new("migrate-user-case").with("name", person.name.as_str()))
                }
                Err(reason) => Told::skipped(reason),
                Ok(name) if !seen.insert(name.clone()) => {
                    Told::skipped(Message::new("migrate-user-twice").with("name", name.as_str()))
                }
                Ok(name) => {
                    let mut told = Box::pin(self.ground.user(&name, &person)).await?;
                    if told.fate == Fate::Present && !came.contains(&name) {
                        told.reason = Some(Message::new("migrate-user-kept").with("name", name.as_str()));
                    }
                    self.coming.extend(told.coming.map(|left| (name, left)));
                    told
                }
            };
            let mut item = item.owner(&person.name).fate(told.fate);
            (item.reason, item.becomes) = (told.reason, told.becomes);
            self.teller.tell(item).await?;
            if let Ok(name) = person.user_name()
                && person.role().is_some_and(|(role, _)| role == Role::Demo)
                && told.fate != Fate::Skipped
            {
                self.sample(&name).await?;
            }
        }
        Ok(())
    }

    /// The demo's own videos, for a demo account that came from the old home.
    async fn sample(&mut self, name: &UserName) -> Result<()> {
        let item = Item::new(What::Sample).owner(name);
        if !self.ground.wants(What::Sample) {
            return Ok(());
        }
        let item = match Box::pin(self.ground.sample(name)).await {
            Ok(Some(fate)) => item.fate(fate),
            Ok(None) => return Ok(()),
            Err(cause) => item.skipped(cause.message()),
        };
        self.teller.tell(item).await
    }
}

impl Ground {
    async fn user(&self, name: &UserName, person: &UserRecord) -> Result<Told> {
        let Some((role, plan)) = person.role() else {
            return Ok(Told::skipped(Message::new("migrate-user-role").with("role", person.role.as_str())));
        };
        let Some(hash) = OldHash::parse(&person.hash) else {
            return Ok(Told::skipped(Message::new("migrate-user-hash")));
        };
        let (accounts, tenancy) = (&self.moving.accounts, &self.moving.tenancy);
        match accounts.get(&self.operator, name.clone()).await {
            // Of the owner only, who is the admin of a new home: whoever else is here got a password from an operator.
            Ok((user, _))
                if user.role == role
                    && *name == self.request.owner
                    && accounts.is_untouched(&self.operator, name.clone()).await? =>
            {
                let taken = match self.applies() {
                    false => true,
                    true => accounts.take_over_password(&self.operator, name.clone(), hash, self.home.clone()).await?,
                };
                return Ok(match taken {
                    true => Told::of(Fate::Imported, Some(Message::new("migrate-user-password"))),
                    false => Told::of(Fate::Present, None),
                });
            }
            Ok((user, _)) if user.deleting => {
                return Ok(Told::skipped(Message::new("user-deleting").with("name", name.as_str())));
            }
            Ok(_) => return Ok(Told::of(Fate::Present, None)),
            Err(Error::NotFound) => {}
            Err(cause) => return Err(cause),
        }
        // Nobody becomes an admin unseen.
        let note = (role == Role::Admin).then(|| Message::new("migrate-user-admin").with("name", name.as_str()));
        let becomes = Message::new("migrate-user-becomes").with("role", role.code());
        let becomes = Some(becomes.with("plan", plan_of(role, plan).code()));
        if !self.applies() {
            return Ok(Told { coming: Some(storage(self, role, plan)), becomes, ..Told::of(Fate::Imported, note) });
        }
        let moved_in = MovedIn { home: self.home.clone(), former: None, hash: person.hash.clone() };
        let password = NewPassword::Old(hash, moved_in);
        let new = NewMember { name: name.clone(), role, tenant: None, password, plan, storage_limit: None };
        match Box::pin(tenancy.create(&self.operator, new)).await {
            Ok(_) => Ok(Told { becomes, ..Told::of(Fate::Imported, note) }),
            // Somebody's library has that name.
            Err(Error::Conflict(reason)) => Ok(Told::skipped(reason)),
            Err(Error::Invalid(fields)) => Ok(Told::skipped(super::first(fields))),
            Err(cause) => Err(cause),
        }
    }

    /// Makes the demo's sample, once for an old home.
    async fn sample(&self, name: &UserName) -> Result<Option<Fate>> {
        let moved = self.moving.accounts.moved_in(&self.operator).await?;
        let came = moved.iter().any(|(user, moved)| user == name && moved.former.is_none());
        if !self.applies() {
            let exists = self.moving.accounts.get(&self.operator, name.clone()).await.is_ok();
            return Ok((!exists).then_some(Fate::Imported));
        }
        if !came {
            return Ok(None);
        }
        let editor = Editor::open(&self.moving.foundation, &self.operator.on_behalf(&name.own_tenant()));
        let identity = journal::identity(What::Sample, &[name.as_str().as_bytes()]);
        let mut fate = Fate::Present;
        if journal::find(Some(&editor), identity.clone()).await?.is_none() {
            let home = self.home.clone();
            editor
                .want_samples_with(move |rows| {
                    let mark = journal::Mark {
                        what: What::Sample,
                        id: uuid::Uuid::now_v7(),
                        home: home.clone(),
                        from: "users.json".into(),
                        file: None,
                        at: rows.now(),
                    };
                    mark.write(rows, &identity)
                })
                .await?;
            fate = Fate::Imported;
        }
        // Does nothing where they are made; a run that was killed meanwhile goes on.
        let videos = Box::pin(editor.make_samples()).await?;
        Box::pin(editor.make_sample_streams(&videos)).await?;
        Ok(Some(fate))
    }
}
