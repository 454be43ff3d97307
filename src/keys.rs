//! Rotation of the master key: a new key, everything that is sealed sealed anew, then the old key goes. What a crash
//! cuts off is finished by the next start, or by the same command.
//!
//! What is sealed stands in rows as text that says with which key; for whom and what for is not said. Each such text is
//! tried with everything that it can be bound to (the space's tenant, each purpose, the ids in its row): what opens is
//! sealed anew in the same place, whatever room the row belongs to. What does not open keeps the old key where secrets
//! stand ([`FIELDS`]), and nowhere else: people may type what looks sealed into titles and names, and hold up nothing.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::audit;
use crate::auth::{FreshOperatorScope, SystemLicence, Tenant};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::library::verify::{Fault, Finding};
use crate::library::{Editor, Library};
use crate::live::kept_key::KeptKey;
use crate::live::{LiveStream, Run};
use crate::notify::Destination;
use crate::oauth::{self, Provider, State};
use crate::store::rows::{Reader, Writer};
use crate::store::{Range, SpaceStore, blocking};
use crate::supervise::Tasks;
use crate::vault::{Purpose, Sealed, Sealing, Secretive, Vault};
use crate::youtube::upload::Upload;

/// Values that are sealed anew in one commit.
const AT_A_TIME: usize = 64;
/// Rounds over everything before the old key is kept for another time.
const ROUNDS: usize = 5;

/// The fields of rows and values that hold what is sealed. None of them holds what people type.
const FIELDS: &[&str] = &["key", "previous", "secret", "sealed", "session", "token", "verifier"];

/// What a rotation did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotated {
    /// The key that is current now.
    pub key: String,
    /// Secrets that were sealed anew.
    pub resealed: u64,
    /// Libraries that were gone through.
    pub libraries: u64,
    /// Places of secrets that carry an old key's id and open for nothing that is known: the old key stays for them.
    pub unopened: Vec<String>,
    /// Places that could not be gone through: the old key stays until they can be.
    pub left: Vec<String>,
    /// The old key is still there.
    pub kept: bool,
}

/// What becomes of an old key while secrets carry its id that do not open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unopened {
    /// It stays: they may be mended.
    #[default]
    Keep,
    /// It goes: somebody looked at them, and none is needed.
    Discard,
}

/// Rotates the master key of a home. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    foundation: Foundation,
    licence: Arc<SystemLicence>,
    tasks: Tasks,
    turn: Arc<Mutex<()>>,
}

/// A text of a row that was sealed with an old key.
struct Found {
    text: String,
    /// What it may be sealed for.
    ids: Vec<Uuid>,
    /// It stands where secrets stand.
    is_secret: bool,
}

/// Whether a value carries, anywhere and in whatever form, what looks sealed with one of `old`.
fn carries(value: &[u8], old: &[String]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut dots = (0..value.len()).filter(|at| value[*at] == b'.');
    dots.any(|at| {
        let (before, after) = (&value[..at], &value[at + 1..]);
        let ends = |id: &String| {
            before
                .strip_suffix(id.as_bytes())
                .is_some_and(|rest| !rest.last().is_some_and(|byte| byte.is_ascii_alphanumeric()))
        };
        old.iter().any(ends) && after.iter().take_while(|byte| is_letter(byte)).count() >= Sealed::SHORTEST
    })
}

/// The texts of a value that look sealed with one of `old`, and every id that they can be bound to.
fn sealed_in(key: &[u8], value: &[u8], old: &[String]) -> Vec<Found> {
    let Some(value) = carries(value, old).then(|| serde_json::from_slice::<Value>(value).ok()).flatten() else {
        return Vec::new();
    };
    let (mut texts, mut ids) = (Vec::new(), Vec::new());
    // A row's key ends in its id, as bytes or as text.
    if let Some((_, id)) = key.split_last_chunk::<16>() {
        ids.push(Uuid::from_bytes(*id));
    }
    ids.extend(String::from_utf8_lossy(key).rsplit('/').next().and_then(|id| Uuid::parse_str(id).ok()));
    let mut rest = vec![(false, &value)];
    while let Some((is_secret, value)) = rest.pop() {
        match value {
            Value::String(text) => {
                match Sealed::looks(text).filter(|sealed| old.iter().any(|id| id == sealed.key_id())) {
                    Some(_) => texts.push((text.clone(), is_secret)),
                    None => ids.extend(Uuid::parse_str(text).ok()),
                }
            }
            Value::Array(items) => rest.extend(items.iter().map(|item| (is_secret, item))),
            Value::Object(fields) => {
                rest.extend(fields.iter().map(|(name, value)| (FIELDS.contains(&name.as_str()), value)));
            }
            _ => {}
        }
    }
    texts.into_iter().map(|(text, is_secret)| Found { text, ids: ids.clone(), is_secret }).collect()
}

/// Opens a text with whatever it can be bound to.
fn open(vault: &Vault, tenant: Option<&Tenant>, found: &Found) -> Option<(Purpose, Uuid, SecretString)> {
    let sealed = Sealed::looks(&found.text)?;
    let bound = found.ids.iter().flat_map(|id| Purpose::ALL.iter().map(|purpose| (*purpose, *id)));
    let mut opened = bound.filter_map(|(purpose, id)| {
        let secret = vault.open_sealed(tenant, purpose, id, &sealed).ok()?;
        Some((purpose, id, secret))
    });
    opened.next()
}

/// The keys of a space whose values carry what may be sealed with one of `old`.
fn places(rows: &Reader<'_>, old: &[String]) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    rows.scan(Range::prefix(b""), |key, value| {
        if carries(value, old) {
            found.push(key.to_vec());
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Whose, of what kind and which: for people.
fn place_of(tenant: Option<&Tenant>, key: &[u8]) -> String {
    let whose = tenant.map_or("platform", Tenant::as_str);
    let is_text = key.iter().all(|byte| byte.is_ascii_graphic());
    match key.split_last_chunk::<16>().filter(|_| !is_text) {
        Some((kind, id)) => {
            let kind = String::from_utf8_lossy(kind);
            format!("{whose} {} {}", kind.trim_end_matches('/').escape_debug(), Uuid::from_bytes(*id))
        }
        None => format!("{whose} {}", String::from_utf8_lossy(key).escape_debug()),
    }
}

/// A value after its texts were sealed anew.
struct Renewed {
    /// Where anything was.
    value: Option<Vec<u8>>,
    count: u64,
    /// What stands where secrets stand and does not open.
    unopened: usize,
}

/// Seals the texts of one value anew.
fn renewed(vault: &Vault, sealing: &Sealing, tenant: Option<&Tenant>, key: &[u8], value: &[u8]) -> Result<Renewed> {
    let old = vault.old_keys();
    let (mut changed, mut count, mut unopened) = (None::<String>, 0, 0);
    for found in sealed_in(key, value, &old) {
        let Some((purpose, id, secret)) = open(vault, tenant, &found) else {
            unopened += usize::from(found.is_secret);
            continue;
        };
        let new = sealing.seal(tenant, purpose, id, &secret)?;
        let text = match changed.take() {
            Some(text) => text,
            None => String::from_utf8(value.to_vec())
                .map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("sealed row")))?,
        };
        // Neither of the two holds a letter that JSON writes otherwise.
        changed = Some(text.replace(&format!("\"{}\"", found.text), &format!("\"{}\"", new.as_str())));
        count += 1;
    }
    Ok(Renewed { unopened, count, value: changed.map(String::into_bytes) })
}

/// Seals the texts of some values anew.
fn reseal(
    rows: &mut Writer<'_>,
    vault: &Vault,
    tenant: Option<&Tenant>,
    keys: &[Vec<u8>],
) -> Result<(u64, Vec<String>)> {
    let sealing = vault.sealing();
    let (mut count, mut unopened) = (0, Vec::new());
    for key in keys {
        rows.change_bytes(key, |value| {
            let renewed = renewed(vault, &sealing, tenant, key, value)?;
            count += renewed.count;
            unopened.extend(std::iter::repeat_n(place_of(tenant, key), renewed.unopened));
            Ok(renewed.value)
        })?;
    }
    Ok((count, unopened))
}

fn finding(fault: Fault, object: String, detail: &str) -> Finding {
    Finding { fault, object, detail: detail.to_owned() }
}

/// Connections whose tokens are not there or do not open, and files that belong to none.
async fn check_tokens(library: &Library) -> Result<Vec<Finding>> {
    let (names, connections) = oauth::sealed::listed(library).await?;
    let mut findings = Vec::new();
    for row in connections.iter().filter(|row| row.value.state != State::Leaving) {
        match oauth::sealed::opens(library, row.id()).await {
            Ok(()) => {}
            Err(Error::NotFound) => {
                findings.push(finding(Fault::Missing, row.id().to_string(), "the tokens of a connection"));
            }
            Err(_) => {
                findings.push(finding(Fault::Sealed, row.id().to_string(), "the tokens of a connection do not open"));
            }
        }
    }
    // The second name is that of a file on its way.
    let known = |name: &str| {
        name.split_once('.').is_some_and(|(id, extension)| {
            ["sealed", "part"].contains(&extension) && connections.iter().any(|row| row.id().to_string() == id)
        })
    };
    for name in names.iter().filter(|name| !known(name)) {
        let place = format!("tokens/{}/{name}", library.tenant());
        findings.push(finding(Fault::Unknown, place, "belongs to no connection"));
    }
    Ok(findings)
}

/// The secrets of a library that do not open.
pub(crate) async fn check(library: &Library) -> Result<Vec<Finding>> {
    let (vault, tenant) = (library.foundation().vault().clone(), library.tenant().clone());
    let of_rows = move |rows: &Reader<'_>| {
        let mut closed = Vec::new();
        let mut look = |id: Uuid, row: &dyn Secretive| {
            let secrets = row.secrets(id).into_iter();
            let bad = secrets
                .filter(|(purpose, id, sealed)| vault.open_sealed(Some(&tenant), *purpose, *id, sealed).is_err());
            closed.extend(bad.map(|(_, of, _)| (id, of)));
        };
        macro_rules! each {
            ($($kind:ty),*) => {$(
                rows.each::<$kind>(false, |row| {
                    look(row.id(), &row.value);
                    ControlFlow::Continue(())
                })?;
            )*};
        }
        each!(LiveStream, KeptKey, Run, Destination, Upload);
        Ok(closed)
    };
    let closed = library.rows().read(of_rows).await?;
    let mut findings: Vec<Finding> = closed
        .into_iter()
        .map(|(id, of)| finding(Fault::Sealed, id.to_string(), &format!("the secret of {of} does not open")))
        .collect();
    for provider in Provider::ALL {
        if library.own_client_opens(provider).await.is_err() {
            findings.push(finding(Fault::Sealed, format!("client {}", provider.code()), "its secret does not open"));
        }
    }
    let mut tokens = check_tokens(library).await?;
    if !tokens.is_empty() {
        // What comes or goes just now is not at fault: only what stands out twice is.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let again = check_tokens(library).await?;
        tokens.retain(|finding| again.contains(finding));
    }
    findings.extend(tokens);
    Ok(findings)
}

impl Keys {
    /// Keys of one home.
    pub fn new(foundation: &Foundation, licence: Arc<SystemLicence>, tasks: &Tasks) -> Keys {
        Keys { foundation: foundation.clone(), licence, tasks: tasks.clone(), turn: Arc::default() }
    }

    fn platform(&self) -> SpaceStore {
        #[allow(clippy::disallowed_methods, reason = "what is sealed of the platform belongs to no tenant")]
        self.foundation.store().platform()
    }

    /// Makes a new key the current one and seals everything anew; where a rotation was cut off, that one is finished.
    /// Goes on to its end when the caller is gone.
    pub async fn rotate(&self, operator: &FreshOperatorScope, unopened: Unopened) -> Result<Rotated> {
        let (this, actor) = (self.clone(), operator.actor().clone());
        let (answer, wait) = tokio::sync::oneshot::channel();
        self.tasks.spawn("key rotation", move |end| async move {
            let rotate = async {
                let _turn = this.turn.lock().await;
                let vault = this.foundation.vault();
                if vault.old_keys().is_empty() {
                    let begun = actor.clone();
                    this.platform().write(move |rows| audit::record(rows, &begun, "keys.rotate", "begin")).await?;
                    vault.add_key().await?;
                }
                let rotated = this.finish(&end, unopened).await?;
                let told = format!("{}: {} secrets", rotated.key, rotated.resealed);
                let act = match (rotated.kept, rotated.unopened.is_empty()) {
                    (true, _) => "keys.kept",
                    (false, true) => "keys.rotated",
                    (false, false) => "keys.discarded",
                };
                this.platform().write(move |rows| audit::record(rows, &actor, act, told.as_str())).await?;
                Ok(rotated)
            };
            // Nobody may be waiting any more.
            let _ = answer.send(rotate.await);
        });
        wait.await.map_err(|_| Error::Internal(anyhow::anyhow!("the server ends; the next start goes on")))?
    }

    /// Finishes a rotation that was cut off, if one was.
    pub async fn resume(self, end: CancellationToken) {
        if self.foundation.vault().old_keys().is_empty() {
            return;
        }
        let _turn = self.turn.lock().await;
        tracing::info!("a rotation of the master key that was cut off goes on");
        match self.finish(&end, Unopened::Keep).await {
            Ok(rotated) if !rotated.kept => {
                tracing::info!(key = rotated.key, resealed = rotated.resealed, "the master key is rotated");
            }
            Ok(rotated) => {
                tracing::error!(left = ?rotated.left, unopened = ?rotated.unopened, "the old master key stays: not everything could be sealed anew")
            }
            Err(cause) => {
                tracing::error!(%cause, "the rotation of the master key stays unfinished; the next start goes on")
            }
        }
    }

    /// Seals everything anew that an old key sealed, and drops the old keys when nothing is left that carries their ids.
    async fn finish(&self, end: &CancellationToken, unopened: Unopened) -> Result<Rotated> {
        let vault = self.foundation.vault().clone();
        let mut rotated = Rotated { key: vault.current_key(), ..Rotated::default() };
        for round in 1..=ROUNDS {
            let (mut again, mut libraries) = (0, 0);
            (rotated.unopened, rotated.left) = (Vec::new(), Vec::new());
            again += self.space(self.platform(), None, end, &mut rotated).await?;
            for tenant in self.foundation.store().tenants(&self.licence).await? {
                let editor = Editor::open(&self.foundation, &self.licence.scope(&tenant, "keys"));
                let done = async {
                    let rows = self.space(editor.rows(), Some(&tenant), end, &mut rotated).await?;
                    Ok::<u64, Error>(rows + self.files(&editor, &mut rotated).await?)
                };
                match done.await {
                    Ok(count) => {
                        again += count;
                        libraries += 1;
                    }
                    // Deleted meanwhile.
                    Err(Error::NotFound) => {}
                    Err(cause) if end.is_cancelled() => return Err(cause),
                    Err(cause) => {
                        tracing::error!(%tenant, %cause, "a library could not be gone through for the new master key");
                        rotated.left.push(tenant.to_string());
                    }
                }
            }
            rotated.resealed += again;
            rotated.libraries = libraries;
            // Only a round that finds nothing tells that nothing is left.
            if again == 0 {
                break;
            }
            if round == ROUNDS {
                rotated.left.push("?".to_owned());
            }
        }
        rotated.kept = !rotated.left.is_empty() || (!rotated.unopened.is_empty() && unopened == Unopened::Keep);
        if !rotated.kept {
            vault.drop_old_keys().await?;
        }
        Ok(rotated)
    }

    /// One space; how many secrets were sealed anew.
    async fn space(
        &self,
        space: SpaceStore,
        tenant: Option<&Tenant>,
        end: &CancellationToken,
        rotated: &mut Rotated,
    ) -> Result<u64> {
        let old = self.foundation.vault().old_keys();
        let places = space.read(move |rows| places(rows, &old)).await?;
        let mut resealed = 0;
        for keys in places.chunks(AT_A_TIME) {
            if end.is_cancelled() {
                return Err(Error::Internal(anyhow::anyhow!("the server ends; the next start goes on")));
            }
            let (vault, tenant, keys) = (self.foundation.vault().clone(), tenant.cloned(), keys.to_vec());
            let (count, unopened) = space.write(move |rows| reseal(rows, &vault, tenant.as_ref(), &keys)).await?;
            resealed += count;
            rotated.unopened.extend(unopened);
        }
        Ok(resealed)
    }

    /// The sealed files of a tenant; how many were sealed anew.
    async fn files(&self, editor: &Editor, rotated: &mut Rotated) -> Result<u64> {
        let bucket = editor.bucket();
        let names = blocking(move || bucket.sealed_names()).await?;
        let mut resealed = 0;
        for id in names.iter().filter_map(|name| Uuid::parse_str(name.strip_suffix(".sealed")?).ok()) {
            let _turn = self.foundation.connection_turns().wait(&id).await;
            match oauth::sealed::renew(editor, id).await {
                Ok(true) => resealed += 1,
                Ok(false) | Err(Error::NotFound) => {}
                Err(cause) => {
                    tracing::warn!(tenant = %editor.tenant(), %id, %cause, "a sealed grant does not open");
                    // Nobody but us writes there: it may yet be put right, as long as its key is there.
                    rotated.left.push(format!("{} tokens/{id}", editor.tenant()));
                }
            }
        }
        Ok(resealed)
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
