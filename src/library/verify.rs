//! Whether a library is what it says: rows against bytes, the ledger against the disk, the audit against itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::ops::ControlFlow;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Library;
use super::stored::StoredObject;
use super::thumbnails::Thumbnail;
use super::videos::{Video, VideoState};
use crate::audit;
use crate::error::{Error, Result};
use crate::objects::{Bucket, Listing, ObjectKey};
use crate::store::blocking;
use crate::store::rows::Reader;
use crate::tenancy::{self, Kind, Usage};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A row whose bytes are gone.
    Missing,
    /// The bytes have another length than the row says.
    Size,
    /// The bytes have another hash than the row says.
    Changed,
    /// Bytes that no row knows.
    Unknown,
    /// The ledger says something else than the disk.
    Ledger,
    /// The audit was changed or cut.
    Audit,
    /// A secret does not open.
    Sealed,
    /// The rows cannot be read.
    Unreadable,
}

/// One thing that is wrong with a library.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What.
    pub fault: Fault,
    /// With what: an object's id, a file, a kind of the ledger, a number of the audit.
    pub object: String,
    /// In figures, for whoever looks into it.
    pub detail: String,
}

/// What the row of an object says of its bytes.
struct Said {
    size: u64,
    sha256: String,
    title: String,
}

struct Rows {
    objects: BTreeMap<ObjectId, (ObjectKey, Said)>,
    usage: Usage,
    audit_broken: Option<u64>,
}

/// Kind and id: what a file name says.
type ObjectId = (u8, Uuid);

fn object_id(key: &ObjectKey) -> ObjectId {
    (key.kind as u8, key.id)
}

fn rows(rows: &Reader<'_>) -> Result<Rows> {
    let mut objects = BTreeMap::new();
    rows.each::<Video>(false, |row| {
        // One that is being deleted may have its bytes or not.
        if row.value.state != VideoState::Deleting {
            let key = row.value.key(row.id());
            let Video { facts, sha256, title, .. } = row.value;
            objects.insert(object_id(&key), (key, Said { size: facts.size, sha256, title }));
        }
        ControlFlow::Continue(())
    })?;
    rows.each::<Thumbnail>(false, |row| {
        if !row.value.going {
            let key = row.value.key(row.id());
            let Thumbnail { size, sha256, title, .. } = row.value;
            objects.insert(object_id(&key), (key, Said { size, sha256, title }));
        }
        ControlFlow::Continue(())
    })?;
    rows.each::<StoredObject>(false, |row| {
        let key = row.value.key(row.id());
        let StoredObject { size, sha256, title, .. } = row.value;
        objects.insert(object_id(&key), (key, Said { size, sha256, title }));
        ControlFlow::Continue(())
    })?;
    Ok(Rows { objects, usage: tenancy::usage(rows)?, audit_broken: audit::verify(rows)? })
}

fn compare(rows: &Rows, disk: &Listing) -> BTreeSet<Finding> {
    let mut findings = BTreeSet::new();
    let mut find = |fault, object: String, detail: String| {
        findings.insert(Finding { fault, object, detail });
    };
    let lengths: BTreeMap<ObjectId, (ObjectKey, u64)> =
        disk.objects.iter().map(|(key, length)| (object_id(key), (*key, *length))).collect();
    for (id, (key, said)) in &rows.objects {
        match lengths.get(id).filter(|(found, _)| found == key) {
            None => find(Fault::Missing, key.id.to_string(), said.title.clone()),
            Some((_, length)) if *length != said.size => {
                find(
                    Fault::Size,
                    key.id.to_string(),
                    format!("{}: {length} bytes instead of {}", said.title, said.size),
                );
            }
            Some(_) => {}
        }
    }
    for (id, (key, length)) in &lengths {
        if rows.objects.get(id).is_none_or(|(known, _)| known != key) {
            find(Fault::Unknown, key.file_name(), format!("{length} bytes"));
        }
    }
    for path in &disk.strange {
        find(Fault::Unknown, path.display().to_string(), String::new());
    }
    let mut on_disk = BTreeMap::<&str, (u64, u64)>::new();
    for (key, length) in &disk.objects {
        let spent = on_disk.entry(key.kind.spent_as().code()).or_default();
        *spent = (spent.0 + length, spent.1 + 1);
    }
    for kind in Kind::ALL {
        let (booked, found) = (rows.usage.of(kind), on_disk.get(kind.code()).copied().unwrap_or_default());
        if (booked.bytes, booked.files) != found {
            let detail = format!(
                "{} bytes in {} files are booked, {} bytes in {} files are there",
                booked.bytes, booked.files, found.0, found.1
            );
            find(Fault::Ledger, kind.code().to_owned(), detail);
        }
    }
    if let Some(number) = rows.audit_broken {
        find(Fault::Audit, number.to_string(), "does not fit the entries before it".into());
    }
    findings
}

/// The SHA-256 of a file; every byte of it goes to `also` too.
fn hashed(bucket: &Bucket, key: &ObjectKey, mut also: impl FnMut(&[u8])) -> Result<String> {
    let (mut file, mut hash) = (bucket.open(key)?, Sha256::new());
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex::encode(hash.finalize())),
            length => {
                hash.update(&piece[..length]);
                also(&piece[..length]);
            }
        }
    }
}

impl Library {
    /// Whether the bytes of an object are those of its row and, where `blake3` is given, have that hash; read to the end.
    pub(crate) async fn is_whole(&self, key: ObjectKey, sha256: String, blake3: Option<String>) -> Result<bool> {
        let bucket = self.bucket();
        let whole = blocking(move || {
            let mut other = blake3::Hasher::new();
            let found = hashed(&bucket, &key, |piece| {
                other.update(piece);
            })?;
            Ok(found == sha256 && blake3.is_none_or(|wanted| other.finalize().to_hex().as_str() == wanted))
        });
        match whole.await {
            Err(Error::NotFound | Error::Conflict(_)) => Ok(false),
            whole => whole,
        }
    }

    /// Holds the library against its bytes; `deep` reads every byte. It may be in use meanwhile.
    pub async fn verify(&self, deep: bool) -> Result<Vec<Finding>> {
        let (mut findings, said) = self.look().await?;
        if !findings.is_empty() {
            // What comes or goes just now is not at fault: only what stands out twice is.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            let (again, _) = self.look().await?;
            findings.retain(|finding| again.contains(finding));
        }
        if deep {
            for (key, said) in said.objects.into_values() {
                let bucket = self.bucket();
                let found = blocking(move || hashed(&bucket, &key, |_| ()));
                match found.await {
                    Ok(found) if found == said.sha256 => {}
                    Ok(found) => {
                        let detail = format!("{}: sha256 {found} instead of {}", said.title, said.sha256);
                        findings.insert(Finding { fault: Fault::Changed, object: key.id.to_string(), detail });
                    }
                    // Named already, or deleted meanwhile.
                    Err(Error::NotFound) => {}
                    Err(Error::Conflict(what)) => {
                        let detail = format!("{}: {what}", said.title);
                        findings.insert(Finding { fault: Fault::Changed, object: key.id.to_string(), detail });
                    }
                    Err(cause) => return Err(cause),
                }
            }
        }
        Ok(findings.into_iter().collect())
    }

    async fn look(&self) -> Result<(BTreeSet<Finding>, Rows)> {
        let bucket = self.bucket();
        let disk = blocking(move || bucket.list()).await?;
        let rows = self.rows().read(rows).await?;
        Ok((compare(&rows, &disk), rows))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bytes::Bytes;

    use super::*;
    use crate::library::testing::editor;
    use crate::media::{Picture, PictureKind};

    fn faults(findings: &[Finding]) -> Vec<Fault> {
        findings.iter().map(|finding| finding.fault).collect()
    }

    #[tokio::test]
    async fn whatever_happens_to_the_bytes_is_named() {
        let home = tempfile::tempdir().unwrap();
        let editor = editor(home.path()).await;
        let picture = Picture { bytes: Bytes::from_static(b"picture"), kind: PictureKind::Jpeg, width: 1, height: 1 };
        let row = editor.keep_picture(picture, "a").await.unwrap();
        assert_eq!(editor.verify(true).await.unwrap(), []);
        let path = home.path().join(format!("thumbnails/al/{}.jpg", row.id()));
        let damage = |bytes: &[u8]| fs::write(&path, bytes).unwrap();
        damage(b"pictuRe");
        assert_eq!(editor.verify(false).await.unwrap(), [], "only reading all of it tells");
        let found = editor.verify(true).await.unwrap();
        assert_eq!(faults(&found), [Fault::Changed]);
        assert_eq!(found[0].object, row.id().to_string());
        damage(b"pict");
        assert_eq!(faults(&editor.verify(false).await.unwrap()), [Fault::Size, Fault::Ledger]);
        fs::remove_file(&path).unwrap();
        assert_eq!(faults(&editor.verify(true).await.unwrap()), [Fault::Missing, Fault::Ledger]);
        damage(b"picture");
        fs::write(home.path().join("videos/al/notes.txt"), "x").unwrap();
        let found = editor.verify(false).await.unwrap();
        assert_eq!(
            (faults(&found), found[0].object.as_str()),
            (vec![Fault::Unknown], "videos/al/notes.txt"),
            "{found:?}"
        );
        fs::remove_file(home.path().join("videos/al/notes.txt")).unwrap();
        fs::write(home.path().join(format!("videos/al/{}.mp4", Uuid::now_v7())), "x").unwrap();
        assert_eq!(faults(&editor.verify(false).await.unwrap()), [Fault::Unknown, Fault::Ledger]);
    }
}
