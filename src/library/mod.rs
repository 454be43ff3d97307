//! Everything one tenant owns. [`Library`] reads, [`Editor`] reads and writes; neither has a call that takes a
//! tenant, so a foreign id is simply absent.

mod arrivals;
mod from_old;
pub mod listing;
pub mod names;
mod reconcile;
mod removal;
mod replace;
mod sample;
pub mod stored;
pub mod thumbnails;
pub mod uses;
pub mod verify;
pub mod videos;

pub use arrivals::NewVideo;
pub(crate) use from_old::OldFile;
pub use listing::{Ask, Found, Order};
pub use reconcile::{Reconciled, reconcile_all};
pub use removal::{Deleted, Despite};
pub use replace::Original;
pub use thumbnails::{
    LONGEST_SIDE, Thumbnail, ThumbnailCard, ThumbnailFilter, choices, gallery, need_thumbnail, page_of_thumbnails,
    used_by,
};
pub use videos::{
    Served, Video, VideoCard, VideoChange, VideoFilter, VideoState, count_videos, need_video, need_video_to_change,
    page_of_videos,
};

use crate::auth::{Actor, Identity, Scope, Tenant, WriteScope};
use crate::error::Result;
use crate::foundation::Foundation;
use crate::objects::Bucket;
use crate::store::SpaceStore;

/// May read one tenant's library.
#[derive(Clone)]
pub struct Library {
    foundation: Foundation,
    scope: Scope,
}

impl Library {
    /// The library that a proof opens.
    pub fn open(foundation: &Foundation, scope: &Scope) -> Library {
        Library { foundation: foundation.clone(), scope: scope.clone() }
    }

    /// Whose it is.
    pub fn tenant(&self) -> &Tenant {
        self.scope.tenant()
    }

    /// The proof behind it.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What the rooms stand on.
    pub fn foundation(&self) -> &Foundation {
        &self.foundation
    }

    /// The tenant's rows.
    pub fn rows(&self) -> SpaceStore {
        self.foundation.rows(&self.scope)
    }

    /// The tenant's bytes.
    pub fn bucket(&self) -> Bucket {
        self.foundation.bucket(&self.scope)
    }
}

/// May read and change one tenant's library. A demo session never becomes one.
#[derive(Clone)]
pub struct Editor {
    library: Library,
    proof: WriteScope,
}

impl std::ops::Deref for Editor {
    type Target = Library;
    fn deref(&self) -> &Library {
        &self.library
    }
}

impl Editor {
    /// The library that a proof opens for writing.
    pub fn open(foundation: &Foundation, proof: &WriteScope) -> Editor {
        Editor { library: Library::open(foundation, proof), proof: proof.clone() }
    }

    /// The library of a user, for writing.
    ///
    /// # Errors
    /// [`crate::error::Error::Forbidden`] for a demo user.
    pub fn of(foundation: &Foundation, identity: &Identity) -> Result<Editor> {
        Ok(Editor::open(foundation, identity.write_scope()?))
    }

    /// The proof behind it.
    pub fn proof(&self) -> &WriteScope {
        &self.proof
    }

    /// Who acts.
    pub fn actor(&self) -> &Actor {
        self.proof.actor()
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A library on a home of its own, for tests of this room.

    use std::path::Path;

    use uuid::Uuid;

    use super::Editor;
    use crate::auth::{SystemLicence, Tenant};
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::foundation::Foundation;
    use crate::objects::Objects;
    use crate::store::Store;
    use crate::vault::Vault;

    /// The library of `al`, as a start of the server finds it.
    pub async fn editor(home: &Path) -> Editor {
        let config = Config { home: home.to_owned(), ..Config::default() };
        let objects = Objects::open(home).unwrap();
        let store = Store::open_redb(config.data(), Clock::system()).unwrap();
        let key = config.data().join("master.key");
        let vault = Vault::open(&key, !key.exists()).unwrap();
        let foundation = Foundation::new(config, store, objects, vault, Uuid::now_v7());
        #[allow(clippy::disallowed_methods, reason = "a test of the room itself")]
        let proof = SystemLicence::new().scope(&Tenant::parse("al").unwrap(), "test");
        let editor = Editor::open(&foundation, &proof);
        editor.rows().create().await.unwrap();
        editor.bucket().create(editor.proof()).unwrap();
        editor
    }
}
