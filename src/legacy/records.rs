//! The rows of the old databases as types. What a field is for is in the names; all are text, and any may be missing.

use jiff::civil::DateTime;
use serde_json::Value;

use super::database::RowName;
use crate::auth::{Role, UserName};
use crate::live::Platform;
use crate::tenancy::Plan;
use crate::text::Message;

/// A field as text without blanks around it; nothing where it is empty, null, or no text.
pub(super) fn field(record: &Value, name: &str) -> Option<String> {
    let text = match record.get(name)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// A field that means yes or no, however it was written.
pub(super) fn flag(record: &Value, name: &str) -> bool {
    match record.get(name) {
        Some(Value::Bool(yes)) => *yes,
        Some(Value::Number(number)) => number.as_i64() == Some(1),
        Some(Value::String(text)) => matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "ya"),
        _ => false,
    }
}

/// Where a row stands: a database and its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Path of the database, as it is shown.
    pub database: String,
    /// Which row.
    pub row: RowName,
}

/// Of `video_database.json` and `thumbnail_database.json`.
#[derive(Debug, Clone)]
pub(super) struct MediaRecord {
    /// Where it stands.
    pub place: Place,
    /// Whose, as it says, or as its database's folder says.
    pub owner: Option<String>,
    /// In whose folder its database lies.
    pub person: Option<String>,
    /// The file it names.
    pub file_name: Option<String>,
    /// What the file was called when it came.
    pub original_name: Option<String>,
    /// What people call it.
    pub title: Option<String>,
    /// Of a video: the file of its picture.
    pub thumbnail: Option<String>,
}

impl MediaRecord {
    /// Whether a file lies in another person's folder than the database that names it.
    pub fn is_foreign(&self, file: &std::path::Path) -> bool {
        let folder = super::files::person_of(file);
        self.person.is_some() && folder.is_some() && folder != self.person.as_deref()
    }

    /// Reads a row; nothing where it is no object.
    pub fn read(place: Place, folder_owner: Option<&str>, record: &Value) -> Option<MediaRecord> {
        record.is_object().then(|| MediaRecord {
            owner: field(record, "owner").or_else(|| folder_owner.map(str::to_owned)),
            person: folder_owner.map(str::to_owned),
            file_name: field(record, "filename"),
            original_name: field(record, "original_filename"),
            title: field(record, "title"),
            thumbnail: field(record, "thumbnail"),
            place,
        })
    }
}

/// Of `users.json`.
#[derive(Debug, Clone)]
pub(super) struct UserRecord {
    /// Login name, as it says.
    pub name: String,
    /// Its key in the file, where that is another one.
    pub other_name: Option<String>,
    /// What was kept of the password.
    pub hash: String,
    /// The old program's word.
    pub role: String,
}

impl UserRecord {
    /// Reads a row.
    pub fn read(row: &str, record: &Value) -> Option<UserRecord> {
        if !record.is_object() {
            return None;
        }
        let is_key = row.parse::<usize>().is_err();
        let name = field(record, "username").or_else(|| is_key.then(|| row.to_owned()))?;
        Some(UserRecord {
            other_name: (is_key && name != row).then(|| row.to_owned()),
            name,
            hash: field(record, "password_hash").unwrap_or_default(),
            role: field(record, "role").unwrap_or_default(),
        })
    }

    /// The name, parsed and never bent.
    pub fn user_name(&self) -> Result<UserName, Message> {
        if let Some(other) = &self.other_name {
            let message = Message::new("migrate-user-two-names").with("name", self.name.as_str());
            return Err(message.with("other", other.as_str()));
        }
        UserName::parse(&self.name).map_err(|_| Message::new("migrate-user-name").with("name", self.name.as_str()))
    }

    /// Role and plan; nothing for a word that the old program did not know either.
    pub fn role(&self) -> Option<(Role, Option<Plan>)> {
        match self.role.to_ascii_lowercase().as_str() {
            "admin" => Some((Role::Admin, None)),
            "demo" => Some((Role::Demo, None)),
            "user" => Some((Role::User, None)),
            "silver" => Some((Role::User, Some(Plan::Free))),
            "gold" => Some((Role::User, Some(Plan::Premium))),
            "platinum" => Some((Role::User, Some(Plan::Enterprise))),
            _ => None,
        }
    }
}

/// Of `live_streams.json`.
#[derive(Debug, Clone)]
pub(super) struct LiveRecord {
    /// Where it stands.
    pub place: Place,
    /// Its id there.
    pub id: Option<String>,
    /// Whose, as it says.
    pub owner: Option<String>,
    /// In whose folder its database lies.
    pub person: Option<String>,
    /// What people call it.
    pub title: Option<String>,
    /// When, as it says.
    pub start: Option<String>,
    /// The old program's word for the platform.
    pub server: Option<String>,
    /// The key.
    pub key: Option<String>,
    /// The address of a server of one's own.
    pub address: Option<String>,
    /// The file that is sent.
    pub video: Option<String>,
    /// Minutes, as text.
    pub duration: Option<String>,
    /// Every day at the same time.
    pub daily: bool,
    /// `scheduled`, `live` or `completed`.
    pub status: Option<String>,
}

impl LiveRecord {
    /// Reads a row; nothing where it is no object.
    pub fn read(place: Place, folder_owner: Option<&str>, record: &Value) -> Option<LiveRecord> {
        record.is_object().then(|| LiveRecord {
            id: field(record, "id"),
            owner: field(record, "owner").or_else(|| folder_owner.map(str::to_owned)),
            person: folder_owner.map(str::to_owned),
            title: field(record, "title"),
            start: field(record, "start_date"),
            server: field(record, "rtmp_server"),
            key: field(record, "stream_key"),
            address: field(record, "custom_rtmp"),
            video: field(record, "video_file"),
            duration: field(record, "duration"),
            daily: flag(record, "repeat_daily"),
            status: field(record, "status"),
            place,
        })
    }

    /// The platform.
    pub fn platform(&self) -> Result<Platform, Message> {
        let word = self.server.as_deref().unwrap_or_default();
        Platform::parse(&word.to_ascii_lowercase())
            .ok_or_else(|| Message::new("migrate-platform-unknown").with("word", word))
    }

    /// When it begins, or began.
    pub fn start(&self) -> Result<DateTime, Message> {
        let text = self.start.as_deref().unwrap_or_default();
        local_time(text).ok_or_else(|| Message::new("migrate-time-unreadable").with("text", text))
    }

    /// Its length in seconds; nothing where it has no end.
    pub fn seconds(&self) -> Result<Option<u64>, Message> {
        let Some(text) = self.duration.as_deref() else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(0.0) => Ok(None),
            Ok(minutes) if minutes > 0.0 && minutes < 600_000.0 => Ok(Some((minutes * 60.0).round() as u64)),
            _ => Err(Message::new("migrate-length-unreadable").with("text", text)),
        }
    }
}

/// A local time as the old program wrote it: `2025-11-04T10:00`, `2025-11-04 10:00:00`.
pub(super) fn local_time(text: &str) -> Option<DateTime> {
    // A date alone would be read as midnight.
    text.trim().parse::<DateTime>().ok().filter(|_| text.contains(':'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn users_have_one_name_and_a_role_that_is_known() {
        let read = |row: &str, name: &str, role: &str| {
            UserRecord::read(row, &json!({"username": name, "password_hash": "x", "role": role})).unwrap()
        };
        assert_eq!(read("1", "al", "gold").user_name().unwrap().as_str(), "al");
        assert_eq!(read("al", "al", "gold").role(), Some((Role::User, Some(Plan::Premium))));
        assert!(read("al", "bo", "user").user_name().is_err());
        assert!(read("Al", "Al", "user").user_name().is_err());
        assert_eq!(read("al", "al", "king").role(), None);
        assert_eq!(UserRecord::read("1", &json!({"role": "user"})).map(|user| user.name), None);
    }

    #[test]
    fn lengths_and_times_are_read_or_named() {
        let record = |duration: &str, start: &str| {
            let place = Place { database: "live_streams.json".into(), row: "1".into() };
            LiveRecord::read(place, None, &json!({"duration": duration, "start_date": start})).unwrap()
        };
        assert_eq!(record("120", "").seconds(), Ok(Some(7200)));
        assert_eq!(record("", "").seconds(), Ok(None));
        assert_eq!(record("1.5", "").seconds(), Ok(Some(90)));
        for odd in ["x", "-1", "1e99", "NaN"] {
            assert!(record(odd, "").seconds().is_err(), "{odd}");
        }
        for good in ["2027-01-04T19:30", "2027-01-04 19:30:00", "2027-01-04 19:30"] {
            assert_eq!(record("", good).start().unwrap().to_string(), "2027-01-04T19:30:00", "{good}");
        }
        for odd in ["", "2027-01-04", "tomorrow", "2027-02-30T10:00"] {
            assert!(record("", odd).start().is_err(), "{odd}");
        }
    }
}
