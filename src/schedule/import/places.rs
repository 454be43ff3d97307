//! Where the stream of a row goes: a key that stands in the file, or places of the library by name.

use uuid::Uuid;

use super::Question;
use super::judge::{Case, Judge};
use crate::error::Result;
use crate::live::Target;
use crate::live::stream::MOST_TARGETS;
use crate::schedule::sheet::Column;
use crate::text::Message;

impl Judge<'_> {
    /// The places that a row names: their targets and what they are compared by. `Ok(None)`: it names none.
    pub(super) fn targets(
        &mut self,
        case: &mut Case<'_>,
        own: Option<Uuid>,
    ) -> Result<Option<(Vec<Target>, Vec<String>)>> {
        let row = case.row;
        let (vault, tenant) = (self.library.foundation().vault().clone(), self.library.tenant());
        match self.prepared.keys.get(&row.number) {
            Some(Ok(checked)) => {
                let target = checked.seal(&self.prepared.sealing, tenant)?;
                let lock = target.key_name(&vault, tenant)?;
                return Ok(Some((vec![target], vec![lock])));
            }
            Some(Err(fields)) => {
                for field in fields {
                    let column = match field.field.rsplit('.').next() {
                        Some("url") => Column::Url,
                        Some("platform") => Column::Platform,
                        _ => Column::Key,
                    };
                    self.problem(case, column, field.message.clone());
                }
                return Ok(None);
            }
            None => {}
        }
        let Some(text) = row.key_name.as_deref().or(row.key_id.as_deref()) else { return Ok(None) };
        let mut places: Vec<usize> = Vec::new();
        for name in text.lines().map(str::trim).filter(|name| !name.is_empty()) {
            let mut found = self.ground.keys_of(name, own);
            if found.len() != 1 && row.key_name.is_some() {
                let by_id = row.key_id.as_deref().map(|id| self.ground.keys_of(id, own)).unwrap_or_default();
                found = if by_id.is_empty() { found } else { by_id };
            }
            if let [only] = &found[..] {
                places.extend(only);
                continue;
            }
            let all: Vec<usize> = if found.is_empty() { (0..self.ground.keys.len()).collect() } else { found.concat() };
            if all.is_empty() {
                let message = Message::new("import-key-none").with("found", name);
                self.problem(case, Column::KeyName, message);
                continue;
            }
            places.extend(self.choose_key(case, name, &all));
        }
        places.dedup();
        if places.is_empty() || places.len() > MOST_TARGETS || !case.asks.is_empty() {
            return Ok(None);
        }
        self.take_places(&places).map(Some)
    }

    pub(super) fn take_places(&self, places: &[usize]) -> Result<(Vec<Target>, Vec<String>)> {
        let (vault, tenant) = (self.library.foundation().vault(), self.library.tenant());
        let keys = places.iter().filter_map(|place| self.ground.keys.get(*place));
        let locks = keys.clone().map(|key| key.lock.clone()).collect();
        let another = keys.map(|key| key.target.for_another(vault, &self.prepared.sealing, tenant));
        let targets = another.collect::<Result<_>>()?;
        Ok((targets, locks))
    }

    pub(super) fn choose_key(&mut self, case: &mut Case<'_>, name: &str, places: &[usize]) -> Option<usize> {
        let keys = places.iter().filter_map(|place| Some((*place, self.ground.keys.get(*place)?.target.id)));
        let keys: Vec<(usize, Uuid)> = keys.collect();
        let ids: Vec<Uuid> = keys.iter().map(|(_, id)| *id).collect();
        let chosen = self.choose(case, Question::Key, name, &ids, true)?;
        keys.into_iter().find(|(_, id)| *id == chosen).map(|(place, _)| place)
    }
}
