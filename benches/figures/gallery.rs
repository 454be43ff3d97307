//! The wall of videos, as a logged-in browser asks for it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jadwalstream::auth::Tenant;
use jadwalstream::library::videos::Video;
use jadwalstream::library::{Editor, Library};
use jadwalstream::tenancy::{self, Kind};
use uuid::Uuid;

use crate::Figure;
use crate::starting::open;
use crate::world::{Server, curl, large_video, median, timed_curl};

/// The first video of a library, to make others after it.
pub async fn any_video(library: &Library) -> (Uuid, Video) {
    let rows = library.rows();
    let first = rows.read(|rows| {
        let mut first = None;
        rows.each::<Video>(false, |row| {
            first = Some((row.id(), row.value));
            std::ops::ControlFlow::Break(())
        })?;
        Ok(first)
    });
    first.await.unwrap().unwrap()
}

/// Rows for `count` videos more, after one real upload.
fn fill(home: &Path, count: usize) {
    let (foundation, licence) = open(home);
    let editor = Editor::open(&foundation, &licence.scope(&Tenant::parse("admin").unwrap(), "bench"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (_, model) = any_video(&editor).await;
        for batch in 0..count / 1000 {
            let (editor, model) = (editor.clone(), model.clone());
            editor
                .rows()
                .write(move |rows| {
                    for number in 0..1000 {
                        let video = Video { title: format!("Video {:06}", batch * 1000 + number), ..model.clone() };
                        rows.insert(editor.tenant(), editor.actor(), video)?;
                    }
                    tenancy::spend(rows, Kind::Uploads, 1000, 1000)
                })
                .await
                .unwrap();
        }
    });
}

/// Asks `rate` times a second for ten seconds, whether or not answers come; the lateness of each answer counts from
/// the moment it should have been asked.
fn at_a_rate(address: &str, cookie: &str, rate: u32) -> Vec<f64> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::new();
        let (began, count) = (tokio::time::Instant::now(), rate * 10);
        let asks = (0..count).map(|number| {
            let (client, address, cookie) = (client.clone(), address.to_owned(), cookie.to_owned());
            #[allow(clippy::disallowed_methods, reason = "a bench's own asks, all waited for below")]
            tokio::spawn(async move {
                let due = began + Duration::from_secs(1) * number / rate;
                tokio::time::sleep_until(due).await;
                let answer = client.get(address).header("cookie", cookie).send().await.unwrap();
                assert!(answer.status().is_success());
                answer.bytes().await.unwrap();
                due.elapsed().as_secs_f64() * 1000.0
            })
        });
        let asks: Vec<_> = asks.collect();
        let mut late = Vec::new();
        for ask in asks {
            late.push(ask.await.unwrap());
        }
        late.sort_by(f64::total_cmp);
        late
    })
}

fn pages_a_second(address: &str, cookie: &str) -> f64 {
    let output = Command::new("wrk")
        .args(["-t", "1", "-c", "16", "-d", "10", "-H", &format!("Cookie: {cookie}"), address])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("Non-2xx"), "{text}");
    let line = text.lines().find(|line| line.starts_with("Requests/sec:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// 10,000 videos under load, then the first page of 100,000.
pub fn gallery() -> Vec<Figure> {
    let folder = tempfile::tempdir_in("target").unwrap();
    let home = std::fs::canonicalize(folder.path()).unwrap();
    let file = large_video(&home, 16 << 20);
    let server = Server::start(&home);
    let header = format!("Authorization: Bearer {}", server.bearer());
    curl(&["-H", &header, "-F", &format!("file=@{}", file.display()), &format!("{}/api/v1/videos", server.base)]);
    drop(server);
    fill(&home, 10_000);
    let server = Server::start(&home);
    let (address, cookie) = (format!("{}/videos", server.base), server.cookie());
    pages_a_second(&address, &cookie);
    let rate = pages_a_second(&address, &cookie);
    let late = at_a_rate(&address, &cookie, 100);
    let p99 = late[late.len() * 99 / 100];
    drop(server);
    fill(&home, 90_000);
    let server = Server::start(&home);
    let cookie = format!("Cookie: {}", server.cookie());
    let address = format!("{}/videos", server.base);
    let cold = Instant::now();
    timed_curl(&["-H", &cookie, &address]);
    let cold = cold.elapsed().as_secs_f64() * 1000.0;
    let first: Vec<f64> = (0..21).map(|_| timed_curl(&["-H", &cookie, &address]) * 1000.0).collect();
    let first = median(first);
    vec![
        Figure::new(
            "gallery of 10,000 videos, pages a second (the load comes from the same cores)",
            format!("{rate:.0}"),
            "≥ 1,000",
            rate >= 1000.0,
        ),
        Figure::new("gallery of 10,000 videos at 100 a second, p99", format!("{p99:.1} ms"), "≤ 20 ms", p99 <= 20.0),
        Figure::new(
            "gallery of 100,000 videos, first page",
            format!("{first:.1} ms (right after the start {cold:.0} ms)"),
            "≤ 30 ms",
            first <= 30.0,
        ),
    ]
}
