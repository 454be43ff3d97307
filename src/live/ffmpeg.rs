//! What ffmpeg is told (pure): a feed and a target become its arguments. `LIVE` facts rest in the comments.
//!
//! No stop time is among them: it may change while ffmpeg runs, so the keeper holds it, and ffmpeg dies with its keeper.

use std::net::SocketAddr;
use std::time::Duration;

use super::paint::Painting;
use super::target::{Scheme, StreamKey, TargetUrl};

/// What is played by one ffmpeg.
#[derive(Debug, Clone, PartialEq)]
pub struct Feed {
    /// The input.
    pub source: Source,
    /// The input has no sound: platforms want a track all the same, so a silent one is made.
    pub silent: bool,
    /// Start this many seconds into the input. Never together with `repeat`: ffmpeg 5.1 then jumps back in time at
    /// every turn.
    pub seek: f64,
    /// Play the input again and again.
    pub repeat: bool,
    /// What is laid over the picture, which is then encoded again instead of copied.
    pub painting: Option<Painting>,
}

/// Where the pictures come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// One file (`file:…`) with its demuxer forced.
    File {
        /// `file:` and the absolute path.
        url: String,
        /// As ffprobe named it; of several names the first is used.
        demuxer: String,
    },
    /// A list in ffconcat form, written by [`list`].
    List {
        /// `file:` and the absolute path of the list.
        url: String,
        /// Names of the demuxers of its files.
        demuxers: Vec<String>,
    },
}

/// Where to and how: arguments that only the spawned process may see.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    options: Vec<(&'static str, String)>,
    format: &'static str,
    url: String,
}

/// How patient sending is, and how often ffmpeg reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// A send that is stuck for this long ends ffmpeg.
    pub rw_timeout: Duration,
    /// Between two reports.
    pub stats_period: Duration,
}

impl Output {
    /// Sends to `url` with `key`, in the clear to exactly the address that was checked.
    ///
    /// RTMP's application and stream name are given apart from the URL, as broadcasting programs do: ffmpeg's own
    /// splitting of the URL differs from theirs, and its error texts repeat the URL.
    pub fn new(url: &TargetUrl, key: Option<&StreamKey>, address: SocketAddr, authorities: Option<&str>) -> Output {
        match url.scheme() {
            Scheme::Rtmp | Scheme::Rtmps => rtmp(url, key, address, authorities),
            Scheme::Srt => srt(url, key, address),
        }
    }
}

/// The application and the stream name of an RTMP target.
pub(crate) fn rtmp_names<'a>(url: &'a TargetUrl, key: Option<&'a StreamKey>) -> (&'a str, &'a str) {
    match key {
        Some(key) => (url.path(), key.expose().trim_start_matches('/')),
        None => url.path().rsplit_once('/').unwrap_or((url.path(), "")),
    }
}

fn rtmp(url: &TargetUrl, key: Option<&StreamKey>, address: SocketAddr, authorities: Option<&str>) -> Output {
    let (app, name) = rtmp_names(url, key);
    let mut options = vec![
        ("-flvflags", "no_duration_filesize".to_owned()),
        ("-rtmp_tcurl", format!("{}/{app}", url.origin())),
        ("-rtmp_app", app.to_owned()),
        ("-rtmp_playpath", name.to_owned()),
    ];
    let target = if url.scheme() == Scheme::Rtmps {
        if let Some(file) = authorities {
            options.push(("-tls_verify", "1".to_owned()));
            options.push(("-ca_file", file.to_owned()));
        }
        url.origin()
    } else {
        format!("rtmp://{address}")
    };
    Output { options, format: "flv", url: target }
}

fn srt(url: &TargetUrl, key: Option<&StreamKey>, address: SocketAddr) -> Output {
    let mut options = Vec::new();
    for (name, value) in srt_secrets(key) {
        // `-streamid` alone is an option of the mpegts muxer.
        options.push((if name == "passphrase" { "-passphrase" } else { "-srt_streamid" }, value.to_owned()));
    }
    let mut target = format!("srt://{address}?mode=caller&transtype=live");
    if !url.path().contains("pkt_size=") {
        target.push_str("&pkt_size=1316");
    }
    if !url.path().is_empty() {
        target.push('&');
        target.push_str(url.path());
    }
    Output { options, format: "mpegts", url: target }
}

/// The parts of an SRT key: a plain stream id, or `streamid=…&passphrase=…`.
pub(crate) fn srt_secrets(key: Option<&StreamKey>) -> Vec<(&'static str, &str)> {
    let Some(key) = key.map(StreamKey::expose) else { return Vec::new() };
    if !key.starts_with("streamid=") && !key.starts_with("passphrase=") {
        return vec![("streamid", key)];
    }
    // Only these two names part it: a stream id may itself hold `&`.
    let (first, second) = match key.find("&passphrase=").or_else(|| key.find("&streamid=")) {
        Some(cut) => (&key[..cut], Some(&key[cut + 1..])),
        None => (key, None),
    };
    [Some(first), second]
        .into_iter()
        .flatten()
        .filter_map(|part| match part.split_once('=')? {
            ("passphrase", value) => Some(("passphrase", value)),
            (_, value) => Some(("streamid", value)),
        })
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// Everything after the program's name; progress is reported to `reports`. stdin must be `/dev/null`: with `-nostdin` ffmpeg 7 is deaf to signals.
pub fn arguments(feed: &Feed, output: &Output, pace: Pace, reports: &str) -> Vec<String> {
    let mut line: Vec<String> = Vec::with_capacity(48);
    let mut add = |words: &[&str]| line.extend(words.iter().map(|word| (*word).to_owned()));
    add(&["-hide_banner", "-loglevel", "level+warning", "-nostats"]);
    add(&["-progress", reports, "-stats_period", &seconds(pace.stats_period)]);
    add(&["-protocol_whitelist", "file", "-re"]);
    if feed.repeat {
        add(&["-stream_loop", "-1"]);
    } else if feed.seek > 0.0 {
        add(&["-ss", &format!("{:.3}", feed.seek)]);
    }
    match &feed.source {
        Source::File { url, demuxer } => add(&["-f", first_name(demuxer), "-i", url]),
        Source::List { url, demuxers } => {
            add(&["-format_whitelist", &whitelist(demuxers), "-f", "concat", "-safe", "0", "-i", url]);
        }
    }
    if let Some(painting) = &feed.painting {
        if feed.silent {
            add(&["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"]);
        }
        let (sound, logo) = (usize::from(feed.silent), 1 + usize::from(feed.silent));
        for word in painting.inputs().into_iter().chain(painting.encoding(logo, sound)) {
            add(&[&word]);
        }
        if feed.silent {
            add(&["-shortest"]);
        }
    } else if feed.silent {
        // Without -shortest the silence would go on after the last picture.
        add(&["-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo", "-map", "0:v:0", "-map", "1:a:0"]);
        add(&["-c:v", "copy", "-c:a", "aac", "-b:a", "128k", "-shortest"]);
    } else {
        add(&["-map", "0:v:0", "-map", "0:a:0", "-c", "copy"]);
    }
    // Titles and chapters of a file are nobody's business on the platform.
    add(&["-map_metadata", "-1", "-map_chapters", "-1"]);
    add(&["-rw_timeout", &pace.rw_timeout.as_micros().to_string()]);
    for (name, value) in &output.options {
        add(&[name, value]);
    }
    add(&["-f", output.format, &output.url]);
    line
}

/// An ffconcat list of files, each with its demuxer's name as the only one allowed.
pub fn list<'a>(files: impl Iterator<Item = (&'a str, &'a str, f64)>) -> String {
    let mut text = String::from("ffconcat version 1.0\n");
    for (url, demuxer, duration) in files {
        let quoted = url.replace('\'', r"'\''");
        text.push_str(&format!("file '{quoted}'\noption format_whitelist {}\n", names(demuxer)));
        if duration > 0.0 {
            text.push_str(&format!("duration {duration:.6}\n"));
        }
    }
    text
}

fn whitelist(demuxers: &[String]) -> String {
    let mut all = vec!["concat".to_owned()];
    for demuxer in demuxers {
        let names = names(demuxer);
        if !all.contains(&names) {
            all.push(names);
        }
    }
    all.join(",")
}

/// Demuxer names are `a-z0-9_` and commas; whatever else a row holds does not get onto the command line.
fn names(demuxer: &str) -> String {
    demuxer.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ',')).collect()
}

fn first_name(demuxer: &str) -> &str {
    demuxer.split(',').next().unwrap_or(demuxer)
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { rw_timeout: Duration::from_secs(15), stats_period: Duration::from_secs(2) };
    const HEAD: &str = "-hide_banner -loglevel level+warning -nostats -progress pipe:1 -stats_period 2.000 \
        -protocol_whitelist file -re";

    fn file() -> Feed {
        let source = Source::File { url: "file:/v/a.mp4".into(), demuxer: "mov,mp4,m4a,3gp,3g2,mj2".into() };
        Feed { source, silent: false, seek: 0.0, repeat: false, painting: None }
    }

    fn output(url: &str, key: Option<&str>, address: &str) -> Output {
        let key = key.map(|key| StreamKey::parse(key).unwrap());
        Output::new(&TargetUrl::parse(url).unwrap(), key.as_ref(), address.parse().unwrap(), Some("/ca.pem"))
    }

    fn line(feed: Feed, url: &str, key: Option<&str>, address: &str) -> String {
        let line = arguments(&feed, &output(url, key, address), PACE, "pipe:1").join(" ");
        line.strip_prefix(HEAD).unwrap().trim().to_owned()
    }

    const COPY: &str = "-map 0:v:0 -map 0:a:0 -c copy -map_metadata -1 -map_chapters -1";
    const SILENT: &str = "-f lavfi -i anullsrc=r=44100:cl=stereo -map 0:v:0 -map 1:a:0 -c:v copy -c:a aac -b:a 128k \
        -shortest -map_metadata -1 -map_chapters -1";
    const RTMP: &str = "-rw_timeout 15000000 -flvflags no_duration_filesize -rtmp_tcurl rtmp://host/live \
        -rtmp_app live -rtmp_playpath key -f flv rtmp://8.8.8.8:1935";

    #[test]
    fn a_feed_becomes_its_arguments() {
        let list = Source::List { url: "file:/r/list".into(), demuxers: vec!["mov,mp4".into(), "mov,mp4".into()] };
        let table = [
            (file(), format!("-f mov -i file:/v/a.mp4 {COPY} {RTMP}")),
            (Feed { repeat: true, ..file() }, format!("-stream_loop -1 -f mov -i file:/v/a.mp4 {COPY} {RTMP}")),
            (Feed { seek: 1.5, ..file() }, format!("-ss 1.500 -f mov -i file:/v/a.mp4 {COPY} {RTMP}")),
            (
                Feed { repeat: true, seek: 1.5, ..file() },
                format!("-stream_loop -1 -f mov -i file:/v/a.mp4 {COPY} {RTMP}"),
            ),
            (Feed { silent: true, ..file() }, format!("-f mov -i file:/v/a.mp4 {SILENT} {RTMP}")),
            (
                Feed { source: list, repeat: true, ..file() },
                format!(
                    "-stream_loop -1 -format_whitelist concat,mov,mp4 -f concat -safe 0 -i file:/r/list {COPY} {RTMP}"
                ),
            ),
        ];
        for (feed, expected) in table {
            assert_eq!(line(feed, "rtmp://host/live", Some("key"), "8.8.8.8:1935"), expected);
        }
    }

    #[test]
    fn a_feed_with_something_over_it_is_encoded_again() {
        let painting = super::super::paint::tests::everything();
        let encoded = |logo: usize, sound: usize| painting.encoding(logo, sound).join(" ");
        let logo = "-protocol_whitelist file -f png_pipe -i file:/t/a:b's.png";
        let plain = "-map_metadata -1 -map_chapters -1";
        let feed = Feed { painting: Some(painting.clone()), repeat: true, ..file() };
        assert_eq!(
            line(feed.clone(), "rtmp://host/live", Some("key"), "8.8.8.8:1935"),
            format!("-stream_loop -1 -f mov -i file:/v/a.mp4 {logo} {} {plain} {RTMP}", encoded(1, 0))
        );
        let silence = "-f lavfi -i anullsrc=r=48000:cl=stereo";
        assert_eq!(
            line(Feed { silent: true, repeat: false, ..feed }, "rtmp://host/live", Some("key"), "8.8.8.8:1935"),
            format!("-f mov -i file:/v/a.mp4 {silence} {logo} {} -shortest {plain} {RTMP}", encoded(2, 1))
        );
        assert!(encoded(2, 1).contains("-map [painted] -map 1:a:0 -c:v libx264"));
        assert!(encoded(2, 1).contains("-g 60 -keyint_min 60 -sc_threshold 0 -b:v 2750000 -maxrate 2750000"));
    }

    #[test]
    fn a_target_becomes_its_arguments() {
        let head = format!("-f mov -i file:/v/a.mp4 {COPY} -rw_timeout 15000000 ");
        let flv = "-flvflags no_duration_filesize ";
        for (url, key, address, expected) in [
            (
                "rtmp://host:1936/app/inst",
                Some("/a/b?c=d"),
                "[2a00::1]:1936",
                format!(
                    "{flv}-rtmp_tcurl rtmp://host:1936/app/inst -rtmp_app app/inst -rtmp_playpath a/b?c=d -f flv rtmp://[2a00::1]:1936"
                ),
            ),
            (
                "rtmp://host/live/stream",
                None,
                "8.8.8.8:1935",
                format!("{flv}-rtmp_tcurl rtmp://host/live -rtmp_app live -rtmp_playpath stream -f flv rtmp://8.8.8.8:1935"),
            ),
            (
                "rtmps://host/rtmp",
                Some("k"),
                "8.8.8.8:443",
                format!(
                    "{flv}-rtmp_tcurl rtmps://host/rtmp -rtmp_app rtmp -rtmp_playpath k -tls_verify 1 -ca_file /ca.pem -f flv rtmps://host"
                ),
            ),
            (
                "srt://host:9000?latency=200000",
                Some("#!::r=a,m=publish"),
                "8.8.8.8:9000",
                "-srt_streamid #!::r=a,m=publish -f mpegts srt://8.8.8.8:9000?mode=caller&transtype=live&pkt_size=1316&latency=200000".into(),
            ),
            (
                "srt://host:9000",
                Some("streamid=a&b=c&passphrase=0123456789"),
                "8.8.8.8:9000",
                "-srt_streamid a&b=c -passphrase 0123456789 -f mpegts srt://8.8.8.8:9000?mode=caller&transtype=live&pkt_size=1316".into(),
            ),
            (
                "srt://host:9000",
                None,
                "8.8.8.8:9000",
                "-f mpegts srt://8.8.8.8:9000?mode=caller&transtype=live&pkt_size=1316".into(),
            ),
        ] {
            assert_eq!(line(file(), url, key, address), format!("{head}{expected}"));
        }
    }

    #[test]
    fn a_list_names_every_file_and_its_only_demuxer() {
        let files = [("file:/v/a.mp4", "mov,mp4", 4.0), ("file:/v/it's.mkv", "matroska;\nwebm", 0.0)];
        let expected = "ffconcat version 1.0\nfile 'file:/v/a.mp4'\noption format_whitelist mov,mp4\nduration 4.000000\n\
            file 'file:/v/it'\\''s.mkv'\noption format_whitelist matroskawebm\n";
        assert_eq!(list(files.into_iter()), expected);
    }
}
