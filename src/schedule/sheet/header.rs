//! Which column is what: the heads of both sets of the old program and our own, in English and Indonesian.

use std::collections::HashMap;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// Our id of the schedule, from an export.
    Id,
    /// Our id of the stream, from an export.
    StreamId,
    /// What the stream is called.
    Title,
    /// The broadcast's description.
    Description,
    /// Date and time of the start; a date alone goes with [`Column::Time`].
    StartsAt,
    /// Time of day of the start, where it has a column of its own.
    Time,
    /// IANA zone, or WIB, WITA, WIT.
    TimeZone,
    /// RFC 5545 rule.
    Rule,
    /// Every day: yes or no, or a word like `daily` or `weekdays`.
    Repeat,
    /// Further times of each day.
    Times,
    /// Dates that are left out.
    SkipDates,
    /// Occurrences that were changed by hand, as the export writes them.
    Exceptions,
    /// Length; a bare number is minutes.
    Duration,
    /// Local time to end at.
    StopAt,
    /// How late a start may be; a bare number is minutes.
    Grace,
    /// Starts nothing.
    Paused,
    /// Videos by file name, title or id; one a line, or set apart by `;` or `|`.
    Videos,
    /// As listed, or shuffled.
    Order,
    /// Begin again at the end.
    Loop,
    /// Picture of the broadcast, by file name, title or id.
    Thumbnail,
    /// public, unlisted, private.
    Privacy,
    /// YouTube starts the broadcast by itself.
    AutoStart,
    /// YouTube ends the broadcast by itself.
    AutoStop,
    /// Made for children.
    MadeForKids,
    /// The old program's token file, and so the channel.
    TokenFile,
    /// Whether an existing key is used.
    UseExistingKey,
    /// Name of a stream key, or of a stream whose targets are meant.
    KeyName,
    /// The platform's id of a stream key.
    KeyId,
    /// Whose ingest.
    Platform,
    /// Ingest address.
    Url,
    /// The stream key itself. Secret.
    Key,
    /// The old program had made the broadcast.
    Success,
    /// The platform's stream id that the old program noted (set A, `streamId`).
    PlatformStreamId,
    /// Address of the broadcast.
    BroadcastLink,
    /// Whose it is.
    Owner,
    /// Who made it.
    CreatedBy,
    /// When it was made.
    CreatedAt,
    /// When it was last changed.
    UpdatedAt,
}

/// Every column with the name that our files have for it, then what else it may be called. Case, blanks, `_`, `-`, `.`
/// and what stands in brackets do not count.
const NAMES: &[(Column, &[&str])] = &[
    (Column::Id, &["id", "schedule_id", "id jadwal"]),
    (Column::StreamId, &["stream_id", "id stream", "id siaran"]),
    (
        Column::Title,
        &[
            "title",
            "judul",
            "name",
            "nama",
            "stream",
            "siaran",
            "stream title",
            "judul siaran",
            "nama siaran",
            "acara",
            "nama acara",
            "judul acara",
        ],
    ),
    (Column::Description, &["description", "deskripsi", "keterangan", "catatan", "notes", "note"]),
    (
        Column::StartsAt,
        &[
            "starts_at",
            "scheduledStartTime",
            "start",
            "start time",
            "start date",
            "starts",
            "mulai",
            "waktu mulai",
            "waktu",
            "jadwal",
            "date",
            "tanggal",
            "tanggal mulai",
            "tgl",
            "waktu tayang",
            "tayang",
            "kapan",
            "kapan tayang",
            "jadwal tayang",
        ],
    ),
    (Column::Time, &["time", "jam", "jam mulai", "pukul", "jam tayang", "time of day"]),
    (Column::TimeZone, &["time_zone", "timezone", "zone", "zona", "zona waktu"]),
    (Column::Rule, &["rule", "rrule", "recurrence", "aturan", "aturan ulang"]),
    (
        Column::Repeat,
        &["repeat_daily", "repeat", "ulangi", "ulang", "ulangi harian", "ulang harian", "pengulangan", "harian"],
    ),
    (Column::Times, &["times", "further times", "jam lain", "waktu lain"]),
    (Column::SkipDates, &["skip_dates", "skip", "tanggal libur", "lewati", "tanggal dilewati"]),
    (Column::Exceptions, &["exceptions", "pengecualian"]),
    (Column::Duration, &["duration", "length", "durasi", "lama", "duration minutes", "durasi menit", "lama tayang"]),
    (
        Column::StopAt,
        &["stop_at", "stop", "end", "ends at", "end time", "selesai", "jam selesai", "berhenti", "waktu selesai"],
    ),
    (Column::Grace, &["grace", "toleransi", "tenggang"]),
    (Column::Paused, &["paused", "pause", "dijeda", "jeda"]),
    (
        Column::Videos,
        &[
            "videos",
            "videoFile",
            "video",
            "video_file",
            "berkas video",
            "file video",
            "nama video",
            "file",
            "film",
            "berkas",
            "berkas film",
            "file film",
            "nama berkas",
            "file name",
        ],
    ),
    (Column::Order, &["order", "urutan"]),
    (Column::Loop, &["loop", "looping", "putar ulang"]),
    (Column::Thumbnail, &["thumbnail", "thumbnailFile", "thumbnails", "gambar mini", "sampul", "gambar"]),
    (Column::Privacy, &["privacy", "privacyStatus", "privasi", "visibilitas", "visibility"]),
    (Column::AutoStart, &["auto_start", "autoStart", "mulai otomatis"]),
    (Column::AutoStop, &["auto_stop", "autoStop", "berhenti otomatis", "selesai otomatis"]),
    (Column::MadeForKids, &["made_for_kids", "madeForKids", "untuk anak", "dibuat untuk anak", "konten anak"]),
    (Column::TokenFile, &["token_file", "tokenFile", "token", "channel", "kanal", "akun"]),
    (Column::UseExistingKey, &["useExistingStream", "use existing key", "pakai kunci yang ada"]),
    (
        Column::KeyName,
        &[
            "key",
            "streamNameExisting",
            "key name",
            "kunci",
            "nama kunci",
            "kunci siaran",
            "target",
            "targets",
            "tujuan",
        ],
    ),
    (Column::KeyId, &["streamIdExisting", "key id", "id kunci"]),
    (Column::Platform, &["platform", "rtmp_server", "layanan"]),
    (Column::Url, &["url", "custom_rtmp", "rtmp", "rtmp url", "address", "alamat", "alamat rtmp", "server"]),
    (Column::Key, &["stream_key", "stream key", "kode kunci", "kunci stream"]),
    (Column::Success, &["success", "berhasil"]),
    (Column::PlatformStreamId, &["youtube_stream_id"]),
    (Column::BroadcastLink, &["broadcastLink", "broadcast link", "link", "tautan", "tautan siaran"]),
    (Column::Owner, &["owner", "pemilik"]),
    (Column::CreatedBy, &["created_by", "dibuat oleh"]),
    (Column::CreatedAt, &["created_at", "dibuat", "dibuat pada", "tanggal dibuat"]),
    (Column::UpdatedAt, &["updated_at", "diubah", "diubah pada", "tanggal diubah"]),
];

impl Column {
    /// Every column.
    pub fn all() -> impl Iterator<Item = Column> {
        NAMES.iter().map(|(column, _)| *column)
    }

    /// The name that our own files have for it.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(column, _)| *column == self).and_then(|(_, names)| names.first().copied()).unwrap_or("")
    }

    /// Reads [`Column::name`].
    pub fn parse(name: &str) -> Option<Column> {
        Column::all().find(|column| column.name() == name)
    }

    /// What a head means by itself, whatever stands beside it.
    pub fn of_head(head: &str) -> Option<Column> {
        let head = plain(head);
        if head.is_empty() {
            return None;
        }
        NAMES.iter().find(|(_, names)| names.iter().any(|name| plain(name) == head)).map(|(column, _)| *column)
    }
}

/// Letters and digits of a head, small, without what stands in brackets.
fn plain(head: &str) -> String {
    let head = head.split(['(', '[', '*']).next().unwrap_or_default();
    head.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whose heads these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderSet {
    /// The old program's, with broadcast settings.
    LegacyA,
    /// The old program's, with a video.
    LegacyB,
    /// Ours, or what a person wrote.
    Own,
}

/// What each column of a table holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    set: HeaderSet,
    columns: Vec<Option<Column>>,
    /// Heads that mean what a column further left means already.
    doubles: Vec<usize>,
}

impl Mapping {
    /// Reads the heads of a table.
    pub fn recognise(heads: &[String]) -> Mapping {
        let plains: Vec<String> = heads.iter().map(|head| plain(head)).collect();
        let has = |name: &str| plains.iter().any(|plain| plain == name);
        let set = match has("scheduledstarttime") {
            true if has("videofile") => HeaderSet::LegacyB,
            true => HeaderSet::LegacyA,
            false => HeaderSet::Own,
        };
        let columns = heads.iter().map(|head| match Column::of_head(head) {
            // The old program's `streamId` is the platform's; ours is `stream_id`.
            Some(Column::StreamId) if set != HeaderSet::Own && !head.contains('_') => Some(Column::PlatformStreamId),
            // There it is the file; ours is the key's name.
            found => found,
        });
        let mut mapping = Mapping { set, columns: columns.collect(), doubles: Vec::new() };
        mapping.settle();
        mapping
    }

    /// Of two columns that mean the same, the left one is taken; a date and a time that stand apart are both.
    fn settle(&mut self) {
        let mut seen = HashMap::new();
        self.doubles.clear();
        for place in 0..self.columns.len() {
            let Some(column) = self.columns[place] else { continue };
            if seen.insert(column, place).is_some() {
                self.columns[place] = None;
                self.doubles.push(place);
            }
        }
    }

    /// Says what a column holds, or with `None` that it is not looked at. A column that held the same no longer does.
    pub fn set(&mut self, place: usize, column: Option<Column>) {
        if column.is_some() {
            self.columns.iter_mut().filter(|known| **known == column).for_each(|known| *known = None);
        }
        if let Some(known) = self.columns.get_mut(place) {
            *known = column;
        }
    }

    /// Whose heads these are.
    pub fn header_set(&self) -> HeaderSet {
        self.set
    }

    /// What a column holds.
    pub fn column(&self, place: usize) -> Option<Column> {
        self.columns.get(place).copied().flatten()
    }

    /// Where a column stands.
    pub fn place(&self, column: Column) -> Option<usize> {
        self.columns.iter().position(|known| *known == Some(column))
    }

    /// Places of heads that are not known (not of empty ones), or that say again what another says.
    pub fn unknown(&self, heads: &[String]) -> Vec<usize> {
        (0..heads.len()).filter(|place| self.column(*place).is_none() && !heads[*place].is_empty()).collect()
    }

    /// How many columns are known.
    pub fn known(&self) -> usize {
        self.columns.iter().flatten().count()
    }
}
