//! How punctual a thousand streams start that are due in the same second, also when the server dies just then.
//!
//! A stand-in takes ffmpeg's place, so that what is measured is the way to it: it writes down its stream's name and
//! the time at which it began, says that it sends, and waits for its end.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use jadwalstream::auth::Tenant;
use jadwalstream::library::Editor;
use jadwalstream::live::{NewStream, Platform, PlayOrder, TargetInput};
use jadwalstream::schedule::ScheduleInput;
use jadwalstream::tenancy::{self, Kind};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use uuid::Uuid;

use crate::Figure;
use crate::gallery::any_video;
use crate::starting::{many_tenants, open};
use crate::support::nginx::Platform as Sink;
use crate::world::{Server, curl, large_video};

const TENANTS: usize = 200;
const EACH: usize = 5;
/// From the planning to the instant; planning a thousand and starting the server take a part of it.
const AHEAD: i64 = 90;
/// How long each is on air.
const ON_AIR: u64 = 20;

/// Written in shell without any other program: on a busy box each further process would be measured too. As ffmpeg
/// does, it opens its `-progress` first, and does nothing before. `/proc/uptime` counts hundredths of a second. At the
/// end it waits for a pipe that nobody opens.
const STAND_IN: &str = r#"#!/bin/sh
while [ "$1" != -progress ]; do shift; done
case "$2" in file:*) exec > "${2#file:}" ;; esac
read -r up rest < /proc/uptime
while [ "$1" != -rtmp_playpath ]; do shift; done
echo "$2 $up" >> RECORD
printf 'total_size=90000\nout_time_us=900000\nspeed=1.0x\nprogress=continue\n'
read -r never < NEVER
"#;

/// A thousand streams; gives back whose they are.
fn streams(home: &Path, sink: &Sink) -> Vec<(Tenant, Uuid)> {
    let (foundation, licence) = open(home);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let admin = Editor::open(&foundation, &licence.scope(&Tenant::parse("admin").unwrap(), "bench"));
        let (source, model) = any_video(&admin).await;
        let source = home.join(format!("videos/admin/{source}.mp4"));
        let mut streams = Vec::new();
        for number in 0..TENANTS {
            let tenant = Tenant::parse(&format!("tenant-{number:05}")).unwrap();
            let editor = Editor::open(&foundation, &licence.scope(&tenant, "bench"));
            let (model, owner) = (model.clone(), editor.clone());
            let rows = editor.rows();
            let video = rows.write(move |rows| {
                let row = rows.insert(owner.tenant(), owner.actor(), model.clone())?;
                tenancy::spend(rows, Kind::Uploads, 1000, 1)?;
                Ok(row.id())
            });
            let video = video.await.unwrap();
            std::fs::create_dir_all(home.join("videos").join(tenant.as_str())).unwrap();
            std::fs::copy(&source, home.join(format!("videos/{tenant}/{video}.mp4"))).unwrap();
            for place in 0..EACH {
                let key = format!("{tenant}-{place}");
                let url = Some(sink.rtmp_url("live"));
                let target =
                    TargetInput { id: None, platform: Platform::Custom, url, key: Some(key.clone()), key_id: None };
                let order = PlayOrder::Listed;
                let (overlay, targets) = (None, vec![target]);
                let broadcast = Default::default();
                let new =
                    NewStream { title: key, videos: vec![video], order, repeat: true, overlay, targets, broadcast };
                streams.push((tenant.clone(), editor.create_stream(new).await.unwrap().row.id()));
            }
        }
        streams
    })
}

/// Plans all of them for one instant.
fn plan(home: &Path, streams: &[(Tenant, Uuid)]) -> Timestamp {
    let at = Timestamp::from_second(Timestamp::now().as_second() + AHEAD).unwrap();
    let (foundation, licence) = open(home);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for (tenant, stream) in streams {
            let editor = Editor::open(&foundation, &licence.scope(tenant, "bench"));
            let input = ScheduleInput {
                stream_id: *stream,
                starts_at: at.to_zoned(TimeZone::UTC).datetime(),
                times: Vec::new(),
                time_zone: "UTC".into(),
                rule: None,
                skip_dates: Vec::new(),
                duration: Some(ON_AIR),
                stop_at: None,
                grace: None,
                paused: false,
            };
            editor.create_schedule(input).await.unwrap();
        }
    });
    at
}

/// What the stand-ins wrote down: for each stream how late it began, in milliseconds, each time it did.
fn read_record(record: &Path, at: Timestamp) -> BTreeMap<String, Vec<f64>> {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
    let booted = Timestamp::now().as_millisecond() as f64 / 1000.0 - uptime;
    let mut begun: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in std::fs::read_to_string(record).unwrap_or_default().lines() {
        let (name, up) = line.split_once(' ').unwrap();
        let late = (booted + up.parse::<f64>().unwrap()) * 1000.0 - at.as_millisecond() as f64;
        begun.entry(name.to_owned()).or_default().push(late);
    }
    begun
}

fn sleep_until(at: Timestamp) {
    if let Ok(left) = Duration::try_from(at.duration_since(Timestamp::now())) {
        std::thread::sleep(left);
    }
}

/// One round, with the server killed at `kill` milliseconds from the instant.
fn round(home: &Path, streams: &[(Tenant, Uuid)], kill: Option<i64>) -> Figure {
    let record = home.join("record");
    let _ = std::fs::remove_file(&record);
    let at = plan(home, streams);
    let mut server = Server::start(home);
    let mut ready = at;
    if let Some(kill) = kill {
        sleep_until(at + kill.milliseconds());
        server.kill9();
        server = Server::start(home);
        ready = at.max(Timestamp::now());
    }
    sleep_until(at + 15.seconds());
    let begun = read_record(&record, at);
    let mut late: Vec<f64> = begun.values().filter_map(|times| times.first().copied()).collect();
    late.sort_by(f64::total_cmp);
    let twice = begun.values().filter(|times| times.len() > 1).count();
    let early = late.iter().filter(|late| **late < -20.0).count();
    let part = |of_hundred: usize| late.get((late.len() * of_hundred / 100).min(late.len() - 1)).copied().unwrap();
    let once = begun.len() == streams.len() && twice == 0 && early == 0;
    // The next round wants a box without streams.
    let patience = Instant::now();
    while !server.on_air().is_empty() && patience.elapsed() < Duration::from_secs(90) {
        std::thread::sleep(Duration::from_secs(1));
    }
    let (p50, p99, last) = (part(50), part(99), part(100));
    let count = format!("{} of {} begun, {twice} twice, {early} early", begun.len(), streams.len());
    match kill {
        None => Figure::new(
            "1,000 schedules of 200 tenants due in one second: late",
            format!("p50 {p50:.0} ms, p99 {p99:.0} ms; {count}"),
            "p50 ≤ 100 ms, p99 ≤ 1 s, each once",
            once && p50 <= 100.0 && p99 <= 1000.0,
        ),
        Some(kill) => {
            let limit = ready.duration_since(at).as_millis_f64() + 2000.0;
            Figure::new(
                format!("the same, server killed at {kill:+} ms"),
                format!("p50 {p50:.0} ms, p99 {p99:.0} ms, last {last:.0} ms; {count}"),
                format!("all by {limit:.0} ms (ready + 2 s), each once"),
                once && last <= limit,
            )
        }
    }
}

/// A thousand schedules in one second, in four rounds.
pub fn due() -> Vec<Figure> {
    let folder = tempfile::tempdir_in("target").unwrap();
    let home = std::fs::canonicalize(folder.path()).unwrap();
    // Reachable, and never reached: the stand-in sends nothing.
    let sink = Sink::start();
    let stand_in = home.join("stand-in");
    let never = home.join("never");
    nix::unistd::mkfifo(&never, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let text = STAND_IN.replace("RECORD", home.join("record").to_str().unwrap());
    let text = text.replace("NEVER", never.to_str().unwrap());
    std::fs::write(&stand_in, text).unwrap();
    std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o755)).unwrap();
    let video = large_video(&home, 16 << 20);
    let settings = "[live]\nallow_private_targets = true\nuplink_mbit = 1000000\nmemory_mib = 1000000\n";
    std::fs::write(home.join("jadwalstream.toml"), settings).unwrap();
    let server = Server::start(&home);
    let header = format!("Authorization: Bearer {}", server.bearer());
    curl(&["-H", &header, "-F", &format!("file=@{}", video.display()), &format!("{}/api/v1/videos", server.base)]);
    drop(server);
    many_tenants(&home, TENANTS);
    let streams = streams(&home, &sink);
    let settings = format!("ffmpeg = {:?}\n{settings}", stand_in.display().to_string());
    std::fs::write(home.join("jadwalstream.toml"), settings).unwrap();
    [None, Some(-300), Some(0), Some(300)].into_iter().map(|kill| round(&home, &streams, kill)).collect()
}
