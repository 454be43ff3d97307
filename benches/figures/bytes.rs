//! Large files in and out, against nginx on the same disk.

use std::path::Path;

use crate::Figure;
use crate::world::{Nginx, Server, curl, large_video, median, timed_curl};

const SIZE: u64 = 2 << 30;
const ROUNDS: usize = 3;

fn put_in(server: &Server, bearer: &str, file: &Path) -> (f64, String) {
    let form = format!("file=@{};type=video/mp4", file.display());
    let header = format!("Authorization: Bearer {bearer}");
    let answer = curl(&[
        "-w",
        "\n%{time_total}",
        "-H",
        &header,
        "-H",
        "Expect:",
        "-F",
        &form,
        &format!("{}/api/v1/videos", server.base),
    ]);
    let (json, seconds) = answer.rsplit_once('\n').unwrap();
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    (seconds.parse().unwrap(), json["items"][0]["id"].as_str().unwrap().to_owned())
}

/// 2 GiB by form against WebDAV PUT, in turn; and what the server's memory grows by.
pub fn upload() -> Vec<Figure> {
    let folder = tempfile::tempdir_in("target").unwrap();
    let folder = std::fs::canonicalize(folder.path()).map(|path| (folder, path)).unwrap();
    let file = large_video(&folder.1, SIZE);
    let nginx = Nginx::start(&folder.1);
    let server = Server::start(&folder.1.join("home"));
    let bearer = server.bearer();
    let header = format!("Authorization: Bearer {bearer}");
    let (mut ratios, mut growth) = (Vec::new(), 0);
    let path = file.to_str().unwrap();
    for round in 0..=ROUNDS {
        let target = format!("{}/put.mp4", nginx.base);
        let theirs = timed_curl(&["-H", "Expect:", "-T", path, &target]);
        curl(&["-X", "DELETE", &target]);
        server.reset_peak();
        let before = server.memory().0;
        let (ours, id) = put_in(&server, &bearer, &file);
        // The first round warms caches and the allocator.
        if round > 0 {
            ratios.push(theirs / ours);
            growth = growth.max(server.memory().1.saturating_sub(before));
        }
        curl(&["-X", "DELETE", "-H", &header, &format!("{}/api/v1/videos/{id}", server.base)]);
    }
    let ratio = median(ratios.clone());
    let all: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    vec![
        Figure::new(
            "2 GiB upload by form, speed against nginx WebDAV PUT",
            format!("{ratio:.2}× ({})", all.join(", ")),
            "≥ 0.8×",
            ratio >= 0.8,
        ),
        Figure::new(
            "memory that a 2 GiB upload adds to the server",
            format!("{:.1} MiB", growth as f64 / f64::from(1 << 20)),
            "≤ 8 MiB",
            growth <= 8 << 20,
        ),
    ]
}

/// Range downloads of 1 GiB against nginx's static files, in turn.
pub fn download() -> Vec<Figure> {
    let folder = tempfile::tempdir_in("target").unwrap();
    let folder = std::fs::canonicalize(folder.path()).map(|path| (folder, path)).unwrap();
    let file = large_video(&folder.1, 1 << 30);
    let nginx = Nginx::start(&folder.1);
    std::fs::copy(&file, folder.1.join("nginx/files/static.mp4")).unwrap();
    let server = Server::start(&folder.1.join("home"));
    let bearer = server.bearer();
    let (_, id) = put_in(&server, &bearer, &file);
    let header = format!("Authorization: Bearer {bearer}");
    let range = format!("1048576-{}", (1_u64 << 30) - 1048576);
    let mut ratios = Vec::new();
    for round in 0..=ROUNDS + 2 {
        let theirs = timed_curl(&["-r", &range, &format!("{}/static.mp4", nginx.base)]);
        let ours = timed_curl(&["-r", &range, "-H", &header, &format!("{}/api/v1/videos/{id}/content", server.base)]);
        if round > 0 {
            ratios.push(theirs / ours);
        }
    }
    let ratio = median(ratios.clone());
    let all: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    vec![Figure::new(
        "1 GiB download with Range, speed against nginx static",
        format!("{ratio:.2}× ({})", all.join(", ")),
        "≥ 0.5×",
        ratio >= 0.5,
    )]
}
