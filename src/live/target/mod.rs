//! Where a stream goes: the platform, the address, the key.
//!
//! Everything a person types is parsed here into types that cannot be invalid; the secret parts print as `****`.

mod address;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

pub use address::{AddressFault, Checked, Reach, check_address, check_host, check_literal, reach};

use crate::error::{Error, Result};
use crate::text::Message;

/// Whose ingest a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// YouTube Live.
    Youtube,
    /// Facebook Live.
    Facebook,
    /// Twitch.
    Twitch,
    /// TikTok Live.
    Tiktok,
    /// Instagram Live Producer.
    Instagram,
    /// Any RTMP, RTMPS or SRT server.
    Custom,
}

impl Platform {
    /// All of them, in the order of the form.
    pub const ALL: [Platform; 6] = [
        Platform::Youtube,
        Platform::Facebook,
        Platform::Twitch,
        Platform::Tiktok,
        Platform::Instagram,
        Platform::Custom,
    ];

    /// The word used in forms and the API.
    pub fn code(self) -> &'static str {
        match self {
            Platform::Youtube => "youtube",
            Platform::Facebook => "facebook",
            Platform::Twitch => "twitch",
            Platform::Tiktok => "tiktok",
            Platform::Instagram => "instagram",
            Platform::Custom => "custom",
        }
    }

    /// Reads [`Platform::code`].
    pub fn parse(code: &str) -> Option<Platform> {
        Platform::ALL.into_iter().find(|platform| platform.code() == code)
    }

    /// The ingest address when none is typed. TikTok hands out another one for each session, and a custom target has
    /// none: there an address must be typed.
    pub fn default_url(self) -> Option<&'static str> {
        match self {
            Platform::Youtube => Some("rtmp://a.rtmp.youtube.com/live2"),
            Platform::Facebook => Some("rtmps://live-api-s.facebook.com:443/rtmp"),
            Platform::Twitch => Some("rtmp://live.twitch.tv/app"),
            Platform::Instagram => Some("rtmps://live-upload.instagram.com:443/rtmp"),
            Platform::Tiktok | Platform::Custom => None,
        }
    }

    /// The typed address, or the platform's own.
    ///
    /// # Errors
    /// Field `url`: missing where it is needed, or not an address for streams.
    pub fn url(self, typed: Option<&str>) -> Result<TargetUrl> {
        match (typed.map(str::trim).filter(|typed| !typed.is_empty()), self.default_url()) {
            (Some(typed), _) => TargetUrl::parse(typed),
            (None, Some(default)) => TargetUrl::parse(default),
            (None, None) if self == Platform::Custom => Err(refused_url("live-url-missing-own")),
            (None, None) => Err(refused_url("live-url-missing")),
        }
    }
}

/// How bytes travel to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// RTMP in the clear.
    Rtmp,
    /// RTMP in TLS.
    Rtmps,
    /// SRT, as caller.
    Srt,
}

impl Scheme {
    /// As it stands before `://`.
    pub fn code(self) -> &'static str {
        match self {
            Scheme::Rtmp => "rtmp",
            Scheme::Rtmps => "rtmps",
            Scheme::Srt => "srt",
        }
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Scheme::Rtmp => Some(1935),
            Scheme::Rtmps => Some(443),
            Scheme::Srt => None,
        }
    }
}

/// An address that a stream may be sent to, without its key. No user info, no control characters, known scheme and
/// port. Whether the *network* address is allowed is decided by [`check_address`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetUrl {
    scheme: Scheme,
    host: String,
    port: u16,
    /// The port was typed: it is shown again, also where it is the scheme's own.
    port_typed: bool,
    /// What stands after the host's slash, with its query; no slash at the end. For SRT: the query alone.
    path: String,
}

/// What an SRT address may say about the connection. `mode` is not among them: a listener would open a port here, and
/// stream id and passphrase are secrets that belong into the key.
const SRT_OPTIONS: [&str; 7] = ["latency", "pkt_size", "maxbw", "inputbw", "oheadbw", "pbkeylen", "tlpktdrop"];

impl TargetUrl {
    /// Reads `rtmp://…`, `rtmps://…` or `srt://…`.
    ///
    /// # Errors
    /// Field `url`, saying what is wrong.
    pub fn parse(text: &str) -> Result<TargetUrl> {
        let text = text.trim();
        let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '"' | '\'' | '`' | '\\' | '<' | '>' | '#');
        if text.len() > 1024 || text.contains(odd) {
            return Err(refused_url("live-url-characters"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| refused_url("live-url-scheme"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "rtmp" => Scheme::Rtmp,
            "rtmps" => Scheme::Rtmps,
            "srt" => Scheme::Srt,
            _ => return Err(refused_url("live-url-scheme")),
        };
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(cut);
        if authority.contains('@') {
            return Err(refused_url("live-url-userinfo"));
        }
        let (host, typed) = split_port(authority)?;
        let port_typed = typed.is_some();
        let port = match typed.or(scheme.default_port()) {
            // Low ports belong to other services.
            Some(port @ (80 | 443 | 1024..)) => port,
            Some(_) => return Err(refused_url("live-url-port")),
            None => return Err(refused_url("live-url-port-missing")),
        };
        let path = match scheme {
            Scheme::Rtmp | Scheme::Rtmps => {
                let path = path.trim_matches('/');
                if path.is_empty() || path.starts_with('?') || path.split('/').any(|part| matches!(part, "." | "..")) {
                    return Err(refused_url("live-url-path"));
                }
                path.to_owned()
            }
            Scheme::Srt => srt_query(path)?,
        };
        Ok(TargetUrl { scheme, host, port, port_typed, path })
    }

    /// RTMP, RTMPS or SRT.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Name or literal address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where it is the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// After the host: RTMP's application, or SRT's options.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// `scheme://host[:port]`, IPv6 in brackets.
    pub(crate) fn origin(&self) -> String {
        let host = bracketed(&self.host);
        match self.scheme.default_port() {
            Some(port) if port == self.port => format!("{}://{host}", self.scheme.code()),
            _ => format!("{}://{host}:{}", self.scheme.code(), self.port),
        }
    }

    /// Checks that address and key fit together: SRT and a full RTMP address do without a key, a platform's does not.
    ///
    /// # Errors
    /// Field `key`: missing.
    pub fn check_key(&self, platform: Platform, key: Option<&StreamKey>) -> Result<()> {
        let needs_key = match (self.scheme, platform) {
            (Scheme::Srt, _) => false,
            (_, Platform::Custom) => !self.path.contains('/'),
            _ => true,
        };
        if needs_key && key.is_none() {
            return Err(Error::field("key", Message::new("live-key-missing")));
        }
        Ok(())
    }

    /// Whether something that looks like a parameter stands in an RTMP address, however it is spelled. It is often a
    /// secret, and an address is shown.
    pub fn has_parameters(&self) -> bool {
        self.scheme != Scheme::Srt && self.path.contains(['?', ';', '=', '&', '%'])
    }

    /// A full RTMP address as its application and its stream name, which is the key; nothing where it has no name.
    pub fn split_stream_name(&self) -> Option<(TargetUrl, String)> {
        if self.scheme == Scheme::Srt {
            return None;
        }
        // A query belongs to the name, whatever it holds; one that stands before the name belongs to the application.
        let names = self.path.find('?').unwrap_or(self.path.len());
        let cut = self.path[..names].rfind('/').or_else(|| self.path.rfind('/'))?;
        let (app, name) = (&self.path[..cut], &self.path[cut + 1..]);
        let whole = !app.is_empty() && !name.is_empty() && !name.starts_with('?');
        whole.then(|| (TargetUrl { path: app.to_owned(), ..self.clone() }, name.to_owned()))
    }
}

/// The address and the key joined by exactly one `/`, as people paste it into other programs. Secret.
pub fn joined(url: &TargetUrl, key: Option<&StreamKey>) -> SecretString {
    match key {
        Some(key) => SecretString::from(format!("{}/{}", url, key.expose().trim_start_matches('/'))),
        None => SecretString::from(url.to_string()),
    }
}

/// Name of the lock file that keeps two encoders off one key: the same for every spelling of the same ingest that we
/// can tell (scheme, port and backup host of the big platforms, query parts of the key). It does not give the key away.
pub fn lock_name(url: &TargetUrl, key: Option<&StreamKey>) -> String {
    let host = url.host.to_ascii_lowercase();
    let key = key.map(|key| key.expose().trim_start_matches('/')).unwrap_or_default();
    let known = ["youtube.com", "facebook.com", "twitch.tv", "live-video.net", "instagram.com"];
    let known = known.into_iter().find(|known| host == *known || host.ends_with(&format!(".{known}")));
    let place = match known {
        Some(known) if !key.is_empty() => known.to_owned(),
        _ => format!("{host}:{}/{}", url.port, url.path),
    };
    let stream = if url.scheme == Scheme::Srt { key } else { key.split('?').next().unwrap_or_default() };
    let mut hasher = blake3::Hasher::new_derive_key("jadwalstream 2026 stream key lock");
    hasher.update(place.as_bytes()).update(b"/").update(stream.as_bytes());
    hasher.finalize().to_hex()[..40].to_owned()
}

fn refused_url(id: &'static str) -> Error {
    Error::field("url", Message::new(id))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn split_port(authority: &str) -> Result<(String, Option<u16>)> {
    let bad = || refused_url("live-url-host");
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(bad()),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || host.len() > 253 || !(host.contains(':') || host.chars().all(name)) || host.starts_with('-') {
        return Err(bad());
    }
    let port = match port {
        Some(port) if port.chars().all(|c| c.is_ascii_digit()) => {
            Some(port.parse().map_err(|_| refused_url("live-url-port"))?)
        }
        Some(_) => return Err(refused_url("live-url-port")),
        None => None,
    };
    Ok((host.to_ascii_lowercase(), port))
}

fn srt_query(path: &str) -> Result<String> {
    let query = path.trim_start_matches('/');
    let Some(query) = query.strip_prefix('?').or(query.is_empty().then_some("")) else {
        return Err(refused_url("live-url-srt-path"));
    };
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            // What we do anyway.
            ("mode", "caller") | ("transtype", "live") => {}
            ("streamid" | "passphrase", _) => return Err(refused_url("live-url-srt-secret")),
            (name, value)
                if SRT_OPTIONS.contains(&name)
                    && !value.is_empty()
                    && value.len() <= 12
                    && value.chars().all(|c| c.is_ascii_digit()) =>
            {
                kept.push(pair);
            }
            (name, _) => {
                return Err(Error::field("url", Message::new("live-url-srt-option").with("option", name)));
            }
        }
    }
    Ok(kept.join("&"))
}

/// The same place, however its port was spelled.
impl PartialEq for TargetUrl {
    fn eq(&self, other: &Self) -> bool {
        (self.scheme, &self.host, self.port, &self.path) == (other.scheme, &other.host, other.port, &other.path)
    }
}

impl Eq for TargetUrl {}

impl fmt::Display for TargetUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin())?;
        if self.port_typed && self.scheme.default_port() == Some(self.port) {
            write!(formatter, ":{}", self.port)?;
        }
        match (self.scheme, self.path.is_empty()) {
            (Scheme::Srt, true) => Ok(()),
            (Scheme::Srt, false) => write!(formatter, "?{}", self.path),
            _ => write!(formatter, "/{}", self.path),
        }
    }
}

/// Without the path: a custom address may carry its secret there.
impl fmt::Debug for TargetUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TargetUrl({}/****)", self.origin())
    }
}

impl TryFrom<String> for TargetUrl {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        TargetUrl::parse(&text)
    }
}

impl From<TargetUrl> for String {
    fn from(url: TargetUrl) -> Self {
        url.to_string()
    }
}

/// A stream key. Prints as `****`; whoever needs the text says so with [`StreamKey::expose`].
///
/// For SRT it is the stream id, or `streamid=…&passphrase=…` where the connection is encrypted.
#[derive(Clone)]
pub struct StreamKey(SecretString);

impl StreamKey {
    /// Reads a typed key: 1 to 512 printable ASCII characters without spaces, quotes, backslashes and angle brackets.
    ///
    /// # Errors
    /// Field `key`. The message never repeats the key.
    pub fn parse(text: &str) -> Result<StreamKey> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::field("key", Message::new("live-key-missing")));
        }
        let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '"' | '\'' | '`' | '\\' | '<' | '>');
        if text.len() > 512 || text.contains(odd) || text.trim_matches('/').is_empty() {
            return Err(Error::field("key", Message::new("live-key-characters")));
        }
        Ok(StreamKey(SecretString::from(text)))
    }

    /// The key itself: for sealing, and for ffmpeg's arguments.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What lists may show: the last four characters of a long name, nothing of a short one, of what stands behind a
    /// `?`, or of SRT's options, one of which is a passphrase.
    pub fn masked(&self) -> String {
        let name = self.expose().split('?').next().unwrap_or_default();
        let plain = name.len() >= 16 && !name.contains(['=', '&', ';', ':', '%']);
        if plain { format!("****{}", &name[name.len() - 4..]) } else { "****".to_owned() }
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StreamKey(****)")
    }
}

#[cfg(test)]
mod tests;
