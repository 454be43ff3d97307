//! Sealed grants of channels: `tokens/<tenant>/<id>.sealed`. What is in them was sealed by the vault before it comes here.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::Bucket;
use super::folder::{Folder, open_file};
use crate::auth::WriteScope;
use crate::error::Result;

/// Largest sealed grant, in bytes.
const MOST: u64 = 1 << 20;

fn file_name(id: Uuid) -> String {
    format!("{id}.sealed")
}

impl Bucket {
    fn tokens(&self) -> PathBuf {
        Path::new("tokens").join(self.tenant.as_str())
    }

    /// Writes a sealed grant under an id, durably and as a whole; one that is there is replaced.
    pub fn put_sealed(&self, _proof: &WriteScope, id: Uuid, sealed: &[u8]) -> Result<()> {
        let folder = Folder::open(&self.home, &self.tokens())?;
        let part = format!("{id}.part");
        folder.remove(&part)?;
        let mut file = folder.create(&part)?;
        file.write_all(sealed)?;
        file.sync_all()?;
        folder.replace(&part, &file_name(id))?;
        folder.sync()
    }

    /// A sealed grant.
    ///
    /// # Errors
    /// [`crate::error::Error::NotFound`] where it is gone.
    pub fn sealed(&self, id: Uuid) -> Result<Vec<u8>> {
        let mut sealed = Vec::new();
        open_file(&self.home, &self.tokens().join(file_name(id)))?.take(MOST).read_to_end(&mut sealed)?;
        Ok(sealed)
    }

    /// Removes a sealed grant; fine if it is gone.
    pub fn remove_sealed(&self, _proof: &WriteScope, id: Uuid) -> Result<()> {
        let folder = Folder::open(&self.home, &self.tokens())?;
        folder.remove(&format!("{id}.part"))?;
        if folder.remove(&file_name(id))? { folder.sync() } else { Ok(()) }
    }

    /// The names of what lies among the sealed grants.
    pub fn sealed_names(&self) -> Result<Vec<String>> {
        let folder = Folder::open(&self.home, &self.tokens())?;
        let entries = fs::read_dir(folder.path())?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        Ok(names.collect::<std::io::Result<_>>()?)
    }
}
