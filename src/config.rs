//! Settings: `<home>/jadwalstream.toml`, each with a `JADWAL_…` twin that wins. The file may be absent; a name that
//! means nothing is refused, so that a typing error is not a silent default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use crate::error::{Error, Result};
use crate::text::Message;

/// Name of the command line's socket in `data`.
pub const CONTROL_SOCKET: &str = ".control.socket";

/// Every setting of the program.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where everything lies; not a setting of the file.
    #[serde(skip)]
    pub home: PathBuf,
    /// Address and port of the pages.
    pub listen: SocketAddr,
    /// The address people type, if it differs (behind a proxy). With `https` cookies are marked Secure.
    pub public_url: Option<Url>,
    /// IANA zone for users who have not chosen one, and for new schedules.
    pub time_zone: String,
    /// Who may make an account.
    pub registration: Registration,
    /// Streams.
    pub live: Live,
    /// Notices to people.
    pub notices: Notices,
    /// Accounts elsewhere.
    pub oauth: Oauth,
    /// Channels of YouTube.
    pub youtube: Youtube,
    /// Moving in.
    pub migrate: Migrate,
    /// Limits for tenants and requests.
    pub limits: Limits,
    /// Opens the figures for Prometheus to whoever shows it; without one they are open to programs on this machine.
    pub metrics_token: Option<SecretString>,
    /// Addresses of reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<std::net::IpAddr>,
    /// `ffmpeg` program.
    pub ffmpeg: PathBuf,
    /// `ffprobe` program.
    pub ffprobe: PathBuf,
    /// Level of the log: error, warn, info, debug, trace.
    pub log: String,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Only admins do.
    Off,
    /// Not offered by this version.
    Invite,
    /// Not offered by this version.
    Open,
}

/// Settings of streams.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Live {
    /// Whether streams may go to private, loopback and link-local addresses.
    pub allow_private_targets: bool,
    /// What the box can send, in Mbit/s, for all streams together.
    pub uplink_mbit: f64,
    /// Memory that streams may use together, in MiB; what the box has less 512 MiB where absent.
    pub memory_mib: Option<u64>,
    /// Of all processor cores together, what streams with an overlay may take, in percent.
    pub cpu_percent: u8,
}

/// Settings of notices.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notices {
    /// Where Telegram's Bot API is; Telegram's own address where absent.
    pub telegram_url: Option<Url>,
    /// Whether webhooks may go to private and loopback addresses.
    pub allow_private_targets: bool,
    /// Free disk below which operators are told, in MiB.
    pub disk_low_mib: u64,
}

/// Settings of accounts elsewhere that people connect.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Oauth {
    /// Google: YouTube channels.
    pub google: OauthProvider,
}

/// Settings of one provider of accounts. Its addresses are the provider's own where they are absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OauthProvider {
    /// The client of this box, for everybody who has none of their own.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<SecretString>,
    /// Where people grant.
    pub authorize_url: Option<Url>,
    /// Where tokens come from.
    pub token_url: Option<Url>,
    /// Where grants are given back.
    pub revoke_url: Option<Url>,
    /// Where the provider's services are.
    pub api_url: Option<Url>,
}

impl OauthProvider {
    fn check(&self, name: &str) -> Result<(), String> {
        if self.client_id.is_some() != self.client_secret.is_some() {
            return Err(format!("oauth.{name}: client_id and client_secret are expected together"));
        }
        let ends = [
            ("authorize_url", &self.authorize_url),
            ("token_url", &self.token_url),
            ("revoke_url", &self.revoke_url),
            ("api_url", &self.api_url),
        ];
        for (end, url) in ends {
            let Some(url) = url else { continue };
            let is_here = match url.host() {
                Some(url::Host::Ipv4(address)) => address.is_loopback(),
                Some(url::Host::Ipv6(address)) => address.is_loopback(),
                Some(url::Host::Domain(name)) => name == "localhost",
                None => false,
            };
            // Tokens and secrets travel there.
            if !(url.scheme() == "https" || url.scheme() == "http" && is_here) || url.host().is_none() {
                return Err(format!(
                    "oauth.{name}.{end}: https://host[:port]/path is expected (http only on this machine)"
                ));
            }
            if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
                return Err(format!("oauth.{name}.{end}: an address without a user, a password and a # is expected"));
            }
        }
        Ok(())
    }
}

/// Settings of YouTube's channels; where the API lies is `oauth.google.api_url`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Youtube {
    /// Units of the API that a project has a day.
    pub daily_units: u64,
    /// Units of the box's own project that one library may use a day; projects that people bring are their own.
    pub library_units: u64,
    /// Hours ahead that broadcasts are made.
    pub hours_ahead: u32,
    /// Minutes after which a broadcast that is to roll over is followed by a new one.
    pub roll_over_minutes: u32,
    /// Seconds after which what the platform does not receive is sent over another connection.
    pub silent_seconds: u32,
    /// KiB of a video that are sent at once: a multiple of 256.
    pub upload_part_kib: u32,
    /// Seconds after which a part of a video that does not get on is given up and tried again later.
    pub upload_quiet_seconds: u32,
    /// Prices of calls that are not Google's usual ones, such as `videos.insert=100`.
    pub costs: Vec<String>,
}

impl Default for Youtube {
    fn default() -> Self {
        Youtube {
            daily_units: 10_000,
            library_units: 5_000,
            hours_ahead: 24,
            roll_over_minutes: 705,
            silent_seconds: 120,
            upload_part_kib: 8192,
            upload_quiet_seconds: 60,
            costs: Vec::new(),
        }
    }
}

/// Settings of moving in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Migrate {
    /// The folder that admins may move old homes in from by page and API: it, or what lies below. None where absent; the
    /// command line may read any.
    pub from: Option<PathBuf>,
}

/// Settings that bound what one tenant, or one request, can take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Storage of a tenant without a limit of its own, in MiB; its plan's where absent.
    pub storage_mib: Option<u64>,
    /// Files of a tenant.
    pub files: u64,
    /// One uploaded video, in MiB.
    pub upload_mib: u64,
    /// Free disk below which nothing more is taken in, in MiB.
    pub disk_floor_mib: u64,
    /// Uploads of one tenant at the same time.
    pub uploads_per_tenant: usize,
    /// Jobs that are done at the same time, of all tenants.
    pub jobs: std::num::NonZeroUsize,
    /// Requests a minute from one address (pages and API together).
    pub requests_per_minute: u32,
    /// Open connections of one address.
    pub connections_per_address: std::num::NonZeroUsize,
    /// Changes a minute that all users of one tenant make together; four times as many at once.
    pub writes_per_minute: std::num::NonZeroU32,
    /// Runs that a tenant's history keeps; beyond, the oldest that are over go.
    pub runs_kept: u64,
    /// Tries to log in that are free for an address; then one a minute. A name has ten times as many.
    pub login_burst: std::num::NonZeroU32,
    /// Seconds after which an admin's acts ask for the password again.
    pub proof_seconds: std::num::NonZeroU32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            home: PathBuf::from("."),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            time_zone: "Asia/Jakarta".into(),
            registration: Registration::Off,
            live: Live::default(),
            notices: Notices::default(),
            oauth: Oauth::default(),
            youtube: Youtube::default(),
            migrate: Migrate::default(),
            limits: Limits::default(),
            metrics_token: None,
            trusted_proxies: Vec::new(),
            ffmpeg: "ffmpeg".into(),
            ffprobe: "ffprobe".into(),
            log: "info".into(),
        }
    }
}

impl Default for Live {
    fn default() -> Self {
        Live { allow_private_targets: false, uplink_mbit: 100.0, memory_mib: None, cpu_percent: 75 }
    }
}

impl Notices {
    /// Address of the Bot API.
    pub fn telegram_base(&self) -> &str {
        self.telegram_url.as_ref().map_or("https://api.telegram.org", Url::as_str)
    }
}

impl Default for Notices {
    fn default() -> Self {
        Notices { telegram_url: None, allow_private_targets: false, disk_low_mib: 2048 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            storage_mib: None,
            files: 200_000,
            upload_mib: 64 * 1024,
            disk_floor_mib: 512,
            uploads_per_tenant: 64,
            jobs: std::num::NonZeroUsize::MIN,
            requests_per_minute: 1200,
            connections_per_address: std::num::NonZeroUsize::new(256).unwrap_or(std::num::NonZeroUsize::MIN),
            writes_per_minute: std::num::NonZeroU32::new(300).unwrap_or(std::num::NonZeroU32::MIN),
            runs_kept: 20_000,
            login_burst: std::num::NonZeroU32::new(10).unwrap_or(std::num::NonZeroU32::MIN),
            proof_seconds: std::num::NonZeroU32::new(15 * 60).unwrap_or(std::num::NonZeroU32::MIN),
        }
    }
}

/// Every setting's place in the file; the environment's name follows from it: `JADWAL_` and the words in capitals.
const SETTINGS: &[&str] = &[
    "listen",
    "public_url",
    "time_zone",
    "registration",
    "metrics_token",
    "trusted_proxies",
    "ffmpeg",
    "ffprobe",
    "log",
    "live.allow_private_targets",
    "live.uplink_mbit",
    "live.memory_mib",
    "live.cpu_percent",
    "notices.telegram_url",
    "notices.allow_private_targets",
    "notices.disk_low_mib",
    "oauth.google.client_id",
    "oauth.google.client_secret",
    "oauth.google.authorize_url",
    "oauth.google.token_url",
    "oauth.google.revoke_url",
    "oauth.google.api_url",
    "youtube.daily_units",
    "youtube.library_units",
    "youtube.hours_ahead",
    "youtube.roll_over_minutes",
    "youtube.silent_seconds",
    "youtube.upload_part_kib",
    "youtube.upload_quiet_seconds",
    "youtube.costs",
    "migrate.from",
    "limits.storage_mib",
    "limits.files",
    "limits.upload_mib",
    "limits.disk_floor_mib",
    "limits.uploads_per_tenant",
    "limits.jobs",
    "limits.requests_per_minute",
    "limits.connections_per_address",
    "limits.writes_per_minute",
    "limits.runs_kept",
    "limits.login_burst",
    "limits.proof_seconds",
];

/// What the command line may say over file and environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<String>,
    /// `--public-url`.
    pub public_url: Option<String>,
}

impl Config {
    /// Reads the settings of a home. `environment` looks up a variable.
    ///
    /// # Errors
    /// [`Error::Malformed`] that names the setting and what is expected.
    pub fn load(home: &Path, environment: impl Fn(&str) -> Option<String>, overrides: &Overrides) -> Result<Config> {
        let home = std::path::absolute(home)?;
        let complain =
            |cause: config::ConfigError| Error::Malformed(Message::new("config-bad").with("cause", cause.to_string()));
        let file = config::File::from(home.join("jadwalstream.toml")).required(false);
        let mut builder = config::Config::builder().add_source(file);
        for setting in SETTINGS {
            let variable = format!("JADWAL_{}", setting.replace('.', "_").to_uppercase());
            if let Some(value) = environment(&variable) {
                let list = matches!(*setting, "trusted_proxies" | "youtube.costs");
                builder = if list {
                    let items: Vec<&str> = value.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
                    builder.set_override(*setting, items)
                } else {
                    builder.set_override(*setting, value)
                }
                .map_err(complain)?;
            }
        }
        for (setting, value) in [("listen", &overrides.listen), ("public_url", &overrides.public_url)] {
            if let Some(value) = value {
                builder = builder.set_override(setting, value.as_str()).map_err(complain)?;
            }
        }
        let mut config: Config = builder.build().and_then(config::Config::try_deserialize).map_err(complain)?;
        config.home = home;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let complain = |text: String| Err(Error::Malformed(Message::new("config-bad").with("cause", text)));
        if crate::clock::zone(&self.time_zone).is_none() {
            return complain(format!("time_zone: `{}` is no IANA zone such as Asia/Jakarta", self.time_zone));
        }
        if self.registration != Registration::Off {
            return complain("registration: only `off` is offered by this version".into());
        }
        if !(self.live.uplink_mbit.is_finite() && self.live.uplink_mbit > 0.0) {
            return complain("live.uplink_mbit: a number of Mbit/s above 0 is expected".into());
        }
        if self.metrics_token.as_ref().is_some_and(|token| token.expose_secret().len() < 16) {
            return complain("metrics_token: at least 16 characters that nobody guesses are expected".into());
        }
        if self.live.cpu_percent > 100 {
            return complain("live.cpu_percent: 0 to 100 is expected".into());
        }
        if let Some(bots) = &self.notices.telegram_url
            && (!matches!(bots.scheme(), "http" | "https") || bots.host().is_none() || bots.query().is_some())
        {
            return complain("notices.telegram_url: http(s)://host[:port] is expected".into());
        }
        if let Err(wrong) = self.oauth.google.check("google") {
            return complain(wrong);
        }
        if let Err(odd) = crate::youtube::units::Costs::parse(&self.youtube.costs) {
            return complain(format!("youtube.costs: `{odd}` is no price such as videos.insert=100"));
        }
        if !(1..=24 * 90).contains(&self.youtube.hours_ahead) {
            return complain("youtube.hours_ahead: 1 to 2160 is expected".into());
        }
        if !(256..=65_536).contains(&self.youtube.upload_part_kib) || !self.youtube.upload_part_kib.is_multiple_of(256)
        {
            return complain("youtube.upload_part_kib: a multiple of 256, 256 to 65536, is expected".into());
        }
        if !(1..=600).contains(&self.youtube.upload_quiet_seconds) {
            return complain("youtube.upload_quiet_seconds: 1 to 600 is expected".into());
        }
        if !(5..=3600).contains(&self.youtube.silent_seconds) {
            return complain("youtube.silent_seconds: 5 to 3600 is expected".into());
        }
        if !(1..=719).contains(&self.youtube.roll_over_minutes) {
            return complain("youtube.roll_over_minutes: 1 to 719 is expected".into());
        }
        if self.migrate.from.as_ref().is_some_and(|from| !from.is_absolute()) {
            return complain("migrate.from: an absolute path is expected".into());
        }
        if let Some(url) = &self.public_url
            && (!matches!(url.scheme(), "http" | "https") || url.host().is_none() || url.path() != "/")
        {
            return complain("public_url: http(s)://host[:port] without a path is expected".into());
        }
        Ok(())
    }

    /// `data` of the home.
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// The command line's way to a running server.
    pub fn socket(&self) -> PathBuf {
        self.data().join(CONTROL_SOCKET)
    }

    /// Whether people come by https.
    pub fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("jadwalstream.toml"), file).unwrap();
        let find = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::load(home.path(), find, &Overrides::default())
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
        let config = load(
            "[live]\nuplink_mbit = 20\n[limits]\nfiles = 5\n",
            &[
                ("JADWAL_LIVE_UPLINK_MBIT", "30"),
                ("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true"),
                ("JADWAL_TRUSTED_PROXIES", "127.0.0.1, ::1"),
            ],
        )
        .unwrap();
        assert_eq!(config.live.uplink_mbit, 30.0);
        assert_eq!((config.limits.files, config.trusted_proxies.len()), (5, 2));
        assert!(config.live.allow_private_targets);
        assert_eq!(config.time_zone, "Asia/Jakarta");
    }

    #[test]
    fn a_wrong_name_or_value_is_refused_by_name() {
        for (file, word) in [
            ("[live]\nuplink = 20\n", "uplink"),
            ("time_zone = \"Mars/Base\"", "time_zone"),
            ("registration = \"open\"", "registration"),
            ("listen = \"here\"", "listen"),
            ("metrics_token = \"short\"", "metrics_token"),
            ("[youtube]\ncosts = [\"videos.inert=5\"]", "youtube.costs"),
            ("[youtube]\nhours_ahead = 0", "youtube.hours_ahead"),
            ("[oauth.google]\nclient_id = \"1-a.apps.googleusercontent.com\"", "client_secret"),
            ("[oauth.google]\ntoken_url = \"http://example.com/token\"", "token_url"),
            ("[oauth.google]\nrevoke_url = \"https://al:secret@example.com/\"", "revoke_url"),
        ] {
            let refused = load(file, &[]).unwrap_err().message().to_string();
            assert!(refused.contains(word), "{refused}");
        }
    }
}
