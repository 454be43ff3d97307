//! Homes of the old program, made by the tests: a tidy one as people have it, and parts for dirty ones.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::clip::{clip, made};
use super::scratch;

/// Passwords of the people below, in the three forms that the old program kept (made with Python's hashlib, and bcrypt).
pub const OLD_ADMIN: &str = "rahasia-admin";
/// See [`OLD_ADMIN`].
pub const OLD_BUDI: &str = "rahasia-budi";
/// See [`OLD_ADMIN`].
pub const OLD_SITI: &str = "rahasia-siti";
const SCRYPT: &str = "scrypt:1024:8:1$saltsalt$537e49fa7afd9068687713742d2396537c44a4877dd3ebbd24e92249c4548923d55f263b6fdb50caa4f26b5562b10aa1ee785d3fc6f958ec5f2431a39af04827";
const PBKDF2: &str = "pbkdf2:sha256:1000$saltsalt$8c35af78cfc30389699f048b1e7a39ac4aa33be612343a09648fd4dd12adbb80";

/// A key that must never be seen where it does not belong.
pub const SECRET_KEY: &str = "abcd-1234-efgh-5678-jklm";
/// The same of a grant.
pub const SECRET_GRANT: &str = "SENTINEL-refresh";

/// An old home.
pub struct OldHome {
    folder: tempfile::TempDir,
}

impl OldHome {
    /// One with its three folders and nothing in them.
    pub fn empty() -> OldHome {
        let folder = scratch("old");
        for name in ["videos", "thumbnails", "tokens"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        OldHome { folder }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The same as text.
    pub fn text(&self) -> &str {
        self.path().to_str().unwrap()
    }

    /// Writes a file.
    pub fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Writes a database.
    pub fn database(&self, name: &str, rows: &Value) {
        self.write(name, rows.to_string());
    }

    /// A video that no other has the bytes of.
    pub fn video(&self, path: impl AsRef<Path>) {
        self.write(&path, video(&path.as_ref().to_string_lossy()));
    }

    /// A picture.
    pub fn picture(&self, path: impl AsRef<Path>) {
        self.write(path, fs::read(picture()).unwrap());
    }

    /// Everything in it with its bytes, for comparing.
    pub fn everything(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = Vec::new();
        for entry in walkdir::WalkDir::new(self.path()).sort_by_file_name() {
            let entry = entry.unwrap();
            let bytes = if entry.file_type().is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
            all.push((entry.path().strip_prefix(self.path()).unwrap().to_owned(), bytes));
        }
        all
    }

    /// A home as people have it: four users, three videos, two pictures, a grant, keys, streams, a workbook.
    pub fn tidy() -> OldHome {
        let home = OldHome::empty();
        for name in ["one.mp4", "two.mp4", "live-loop.mp4"] {
            home.video(Path::new("videos").join(name));
        }
        home.picture("thumbnails/b5f3a2de-1111-4c77-9a10-2f6f1a7e0a01.jpg");
        home.picture("thumbnails/foto1.png");
        home.database("users.json", &people());
        home.database(
            "video_database.json",
            &json!([
                {"id": "1", "title": "Ngaji Subuh – Juz 1", "filename": "one.mp4", "original_filename": "Ngaji Subuh.mp4",
                 "thumbnail": "b5f3a2de-1111-4c77-9a10-2f6f1a7e0a01.jpg", "date_added": "2025-10-28 05:12:44", "source": "local"},
                {"id": "2", "title": "Lo-fi hujan 24 jam", "filename": "two.mp4", "original_filename": "lofi (final) .mp4",
                 "thumbnail": null, "date_added": "2025-10-29 21:40:03", "source": "drive", "drive_file_id": "1AbC"},
                {"id": "3", "title": "Loop malam", "filename": "live-loop.mp4", "original_filename": "live-loop.mp4",
                 "thumbnail": "foto1.png", "date_added": "2025-11-01 22:00:00", "source": "local"},
            ]),
        );
        home.database(
            "thumbnail_database.json",
            &json!([
                {"id": "1", "title": "Subuh", "filename": "b5f3a2de-1111-4c77-9a10-2f6f1a7e0a01.jpg", "original_filename": "b5f3a2de-1111-4c77-9a10-2f6f1a7e0a01.jpg"},
                {"id": "2", "title": "Foto 1", "filename": "foto1.png", "original_filename": "foto1.png"},
            ]),
        );
        home.database(
            "live_streams.json",
            &json!([
                {"id": "s1", "title": "Lo-fi hujan LIVE", "start_date": "2027-01-04T19:30", "rtmp_server": "youtube",
                 "stream_key": SECRET_KEY, "video_file": "two.mp4", "duration": "120", "repeat_daily": true,
                 "custom_rtmp": "", "status": "scheduled", "owner": "admin"},
                {"id": "s2", "title": "Ngaji subuh (custom)", "start_date": "2025-11-03T04:30", "rtmp_server": "custom",
                 "stream_key": "kunci-rahasia-2", "video_file": "one.mp4", "duration": "", "repeat_daily": false,
                 "custom_rtmp": "rtmp://203.0.113.9/live/", "status": "completed"},
            ]),
        );
        home.database("stream_mapping.json", &mapping());
        home.database(
            "telegram_config.json",
            &json!({"enabled": false, "bot_token": "YOUR_BOT_TOKEN_HERE", "chat_id": "YOUR_CHAT_ID_HERE",
                    "notifications": {"stream_start": true}}),
        );
        home.database("schedule_config.json", &json!({"schedule_times": ["00:23"], "timezone": "Asia/Jakarta"}));
        home.database("stream_timers.json", &json!({}));
        home.write("live_stream_data.xlsx", include_bytes!("../fixtures/live_stream_data.xlsx"));
        home.database(
            "tokens/channel_utama.json",
            &json!({"token": "ya29.SENTINEL", "refresh_token": SECRET_GRANT, "client_secret": "SENTINEL-secret"}),
        );
        home
    }
}

/// The people of the old program, with three kinds of hashes.
pub fn people() -> Value {
    let bcrypt = bcrypt::hash(OLD_SITI, 4).unwrap();
    let user = |name: &str, hash: &str, role: &str| json!({"username": name, "password_hash": hash, "role": role});
    json!({
        "admin": user("admin", SCRYPT, "admin"),
        "budi": user("budi", PBKDF2, "gold"),
        "siti": user("siti", &bcrypt, "user"),
        "demo": user("demo", PBKDF2, "demo"),
    })
}

/// Two keys of a channel.
pub fn mapping() -> Value {
    let stream = |title: &str, key: &str| {
        json!({"title": title, "cdn": {"ingestionType": "rtmp", "ingestionInfo": {
            "streamName": key, "ingestionAddress": "rtmp://a.rtmp.youtube.com/live2"}}})
    };
    json!({"channel_utama.json": {
        "YtStreamId0001": stream("Kunci utama", SECRET_KEY),
        "YtStreamId0002": stream("Kunci cadangan", "zzzz-9999-yyyy-8888-xxxx"),
    }})
}

/// A video that a name makes another one: a box of free space at its end holds the name.
pub fn video(name: &str) -> Vec<u8> {
    let mut bytes = fs::read(clip(1, 25, true, "160x90")).unwrap();
    bytes.extend_from_slice(&u32::try_from(8 + name.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(b"free");
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

fn picture() -> PathBuf {
    made("old-home.png", |command| {
        command.args(["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=1:duration=1", "-frames:v", "1"]);
    })
}
