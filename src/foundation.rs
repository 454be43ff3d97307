//! What every domain room stands on: rows, bytes, secrets, tools and settings of one home.

use std::sync::Arc;

use uuid::Uuid;

use crate::auth::Scope;
use crate::clock::Clock;
use crate::config::Config;
use crate::jobs;
use crate::live::Board;
use crate::media::turns::Turns;
use crate::media::{Launcher, Tools};
use crate::objects::intake::Intake;
use crate::objects::{Bucket, Objects};
use crate::schedule::import::drafts::Drafts;
use crate::store::turn::Turns as KeyedTurns;
use crate::store::{SpaceStore, Store};
use crate::tenancy::Ledger;
use crate::vault::Vault;

/// How many calendars are looked through at once.
const LOOKS: usize = 2;

/// Handles that are shared by all rooms of one server. Cheap to clone.
#[derive(Clone)]
pub struct Foundation {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    store: Store,
    objects: Objects,
    vault: Vault,
    tools: Tools,
    board: Board,
    intake: Intake,
    jobs: jobs::Board,
    looks: Turns,
    drafts: Drafts,
    connection_turns: Arc<KeyedTurns<Uuid>>,
    /// Names this start of the server.
    boot: Uuid,
}

impl Foundation {
    /// Puts the parts together; `boot` names this start of the server.
    pub fn new(config: Config, store: Store, objects: Objects, vault: Vault, boot: Uuid) -> Foundation {
        let tools = Tools::new(&config.ffmpeg, &config.ffprobe, Launcher::Own);
        let (board, intake, jobs) = (Board::default(), Intake::default(), jobs::Board::default());
        let (looks, drafts) = (Turns::new(LOOKS), Drafts::default());
        let connection_turns = Arc::default();
        let shared =
            Shared { config, store, objects, vault, tools, board, intake, jobs, looks, drafts, connection_turns, boot };
        Foundation { shared: Arc::new(shared) }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Names this start of the server; older than every id that it makes.
    pub fn boot(&self) -> Uuid {
        self.shared.boot
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        self.shared.store.clock()
    }

    /// The store, for notices of change and for rooms that own platform rows.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The rows of a scope's tenant.
    pub fn rows(&self, scope: &Scope) -> SpaceStore {
        self.shared.store.tenant(scope)
    }

    /// The bytes of a scope's tenant.
    pub fn bucket(&self, scope: &Scope) -> Bucket {
        self.shared.objects.bucket(scope)
    }

    /// All tenants' folders, for figures about the disk.
    pub fn objects(&self) -> &Objects {
        &self.shared.objects
    }

    /// Seals and opens secrets.
    pub fn vault(&self) -> &Vault {
        &self.shared.vault
    }

    /// ffmpeg and ffprobe.
    pub fn tools(&self) -> &Tools {
        &self.shared.tools
    }

    /// What is on air.
    pub fn board(&self) -> &Board {
        &self.shared.board
    }

    /// How far jobs are.
    pub fn jobs(&self) -> &jobs::Board {
        &self.shared.jobs
    }

    /// Places for looking through a calendar, which reads all of a tenant's schedules.
    pub(crate) fn looks(&self) -> &Turns {
        &self.shared.looks
    }

    /// Files of schedules that wait for answers.
    pub(crate) fn drafts(&self) -> &Drafts {
        &self.shared.drafts
    }

    /// Who writes the secrets of a connection, one at a time.
    pub(crate) fn connection_turns(&self) -> &Arc<KeyedTurns<Uuid>> {
        &self.shared.connection_turns
    }

    /// The gate for bytes from outside.
    pub fn intake(&self) -> &Intake {
        &self.shared.intake
    }

    /// The quota ledger of a scope's tenant.
    pub fn ledger(&self, scope: &Scope) -> Ledger {
        let limits = &self.config().limits;
        Ledger::new(self.rows(scope), self.shared.boot, limits.storage_mib.map(|mib| mib << 20), limits.files)
    }
}
