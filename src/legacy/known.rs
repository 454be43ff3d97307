//! Videos and keys of the old home, as rows of workbooks may mean them. They are found by a sign, not by looking through:
//! a workbook may have as many rows as there are videos.

use std::collections::HashMap;
use std::path::PathBuf;

use uuid::Uuid;

use crate::auth::Tenant;
use crate::library::names;
use crate::live::target::{StreamKey, TargetUrl};

/// A key of the old home.
pub(super) struct KnownKey {
    pub platform_id: String,
    pub title: String,
    pub key: StreamKey,
    pub url: Option<TargetUrl>,
}

/// A video of the old home.
pub(super) struct KnownVideo {
    pub path: PathBuf,
    pub id: Option<Uuid>,
    /// Its title and the names of its file.
    pub names: Vec<String>,
    /// The file of its picture.
    pub picture: Option<PathBuf>,
}

impl KnownVideo {
    /// What it is called.
    pub fn title(&self) -> String {
        self.names.first().cloned().unwrap_or_default()
    }
}

/// What something is known by.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Sign {
    /// A name or title, as it is compared.
    Name(String),
    /// The platform's id of a key.
    Id(String),
    /// The file of a video.
    File(PathBuf),
    /// The file of its picture.
    Picture(PathBuf),
}

impl Sign {
    /// A name, however it is written.
    pub fn name(name: &str) -> Sign {
        Sign::Name(names::folded(name.trim()))
    }
}

/// Something that is known by signs.
pub(super) trait Known {
    /// All of its signs.
    fn signs(&self) -> Vec<Sign>;
}

impl Known for KnownKey {
    fn signs(&self) -> Vec<Sign> {
        vec![Sign::Id(self.platform_id.clone()), Sign::name(&self.title)]
    }
}

impl Known for KnownVideo {
    fn signs(&self) -> Vec<Sign> {
        let names = self.names.iter().map(|name| Sign::name(name));
        let picture = self.picture.iter().cloned().map(Sign::Picture);
        names.chain(picture).chain([Sign::File(self.path.clone())]).collect()
    }
}

/// What is known, each tenant's apart.
pub(super) struct Shelf<T> {
    things: HashMap<Tenant, Tenants<T>>,
}

struct Tenants<T> {
    all: Vec<T>,
    by_sign: HashMap<Sign, Vec<usize>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf { things: HashMap::new() }
    }
}

impl<T: Known> Shelf<T> {
    /// Puts a thing of a tenant there.
    pub fn put(&mut self, tenant: &Tenant, thing: T) {
        let own =
            self.things.entry(tenant.clone()).or_insert_with(|| Tenants { all: Vec::new(), by_sign: HashMap::new() });
        let number = own.all.len();
        for sign in thing.signs() {
            let found = own.by_sign.entry(sign).or_default();
            // A title and a file name may be the same.
            if found.last() != Some(&number) {
                found.push(number);
            }
        }
        own.all.push(thing);
    }

    fn found(&self, tenant: &Tenant, sign: &Sign) -> impl Iterator<Item = &T> {
        let own = self.things.get(tenant);
        let numbers = own.and_then(|own| own.by_sign.get(sign));
        numbers.into_iter().flatten().filter_map(move |number| own?.all.get(*number))
    }

    /// The first one of a tenant that has this sign.
    pub fn first(&self, tenant: &Tenant, sign: &Sign) -> Option<&T> {
        self.found(tenant, sign).next()
    }

    /// The one of a tenant that has this sign, where no other has it: of two, it is not ours to choose.
    pub fn only(&self, tenant: &Tenant, sign: &Sign) -> Option<&T> {
        let mut found = self.found(tenant, sign);
        let first = found.next();
        first.filter(|_| found.next().is_none())
    }
}
