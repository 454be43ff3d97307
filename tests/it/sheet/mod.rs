//! Workbooks and CSV files of schedules: taken in row by row, given out, and refused where they are made to explode.

mod asked;
mod bombs;
mod calendar;
mod meant;
mod pages;
mod programs;

use std::io::{Cursor, Write as _};

use reqwest::Method;
use serde_json::{Value, json};

use crate::streams::{stream, video};
use crate::support::server::{Answer, Client, PASSWORD, Server};

const WORKBOOK: &[u8] = include_bytes!("../fixtures/live_stream_data.xlsx");
const TARGET: &str = "rtmp://127.0.0.1/live";

/// `al` with a video called Rain.
async fn al() -> (Server, Client, String) {
    let settings = [("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true")];
    let server = Server::start_with(&settings, &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let video = video(&al, 2).await;
    (server, al, video)
}

async fn send(al: &Client, bytes: impl Into<Vec<u8>>) -> Answer {
    let request = al.request(Method::POST, "/api/v1/schedules/imports?name=plan");
    al.send(request.header("content-type", "application/octet-stream").body(bytes.into())).await
}

async fn upload(al: &Client, bytes: impl Into<Vec<u8>>) -> Value {
    send(al, bytes).await.expect(201).json()
}

fn address(import: &Value) -> String {
    format!("/api/v1/schedules/imports/{}", import["id"].as_str().unwrap())
}

async fn take(al: &Client, import: &Value) -> Value {
    al.post(&format!("{}/take", address(import)), &json!({})).await.expect(200).json()
}

fn verdicts(import: &Value) -> Vec<&str> {
    import["rows"].as_array().unwrap().iter().map(|row| row["verdict"].as_str().unwrap()).collect()
}

/// What a schedule means, without what a new row gets anew.
async fn schedules(al: &Client) -> Vec<Value> {
    let mut items = al.get("/api/v1/schedules?limit=200").await.expect(200).json()["items"].as_array().unwrap().clone();
    for item in &mut items {
        for field in ["created_at", "updated_at", "version", "next_at", "last_run"] {
            item.as_object_mut().unwrap().remove(field);
        }
    }
    items.sort_by_key(|item| item["id"].as_str().unwrap().to_owned());
    items
}

async fn export(al: &Client, format: &str) -> Vec<u8> {
    al.get(&format!("/api/v1/schedules/export?format={format}")).await.expect(200).body
}

fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What another program says; the packages that it needs are installed by `scripts/test`.
fn other_program(arguments: &[&str]) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = match std::env::var_os("JADWAL_TEST_PYTHON") {
        Some(given) => given,
        None => {
            let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
            target.join("test-python/bin/python").into_os_string()
        }
    };
    let script = root.join("tests/it/other_programs/tables.py");
    let ran = std::process::Command::new(&python).arg(script).args(arguments).output();
    let ran = ran.unwrap_or_else(|cause| panic!("{}: {cause}; scripts/test installs it", python.to_string_lossy()));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[tokio::test]
async fn a_file_becomes_streams_and_schedules_in_one_commit_and_again_changes_nothing() {
    let (_server, al, video) = al().await;
    let file = "judul;video;mulai;zona waktu;ulangi;durasi;platform;stream_key;privasi;deskripsi\n\
                Subuh;rain.mp4;4 Januari 2031 pukul 04.30;WIB;harian;1:30;youtube;abcd-1234-efgh-5678;unlisted;Kajian\n\
                Malam;Rain;2031-01-04T20:00;WITA;sekali;90 menit;youtube;zzzz-1234-efgh-5678;;\n";
    let import = upload(&al, file).await;
    assert_eq!(verdicts(&import), ["new", "new"], "{import}");
    assert!(schedules(&al).await.is_empty(), "looking changes nothing");
    let done = take(&al, &import).await;
    assert_eq!(done, json!({"created": 2, "changed": 0, "streams": 2, "same": 0, "skipped": 0}));
    al.get(&address(&import)).await.expect(404);
    let made = schedules(&al).await;
    assert_eq!(made[0]["starts_at"], "2031-01-04T04:30:00");
    assert_eq!((&made[0]["time_zone"], &made[0]["rule"]), (&json!("Asia/Jakarta"), &json!("FREQ=DAILY")));
    assert_eq!((&made[0]["duration"], &made[1]["duration"]), (&json!(5400), &json!(5400)));
    assert_eq!((&made[1]["time_zone"], &made[1]["rule"]), (&json!("Asia/Makassar"), &Value::Null));
    let streams = al.get("/api/v1/streams").await.expect(200).json();
    assert_eq!(streams["items"][0]["videos"], json!([video]));
    assert_eq!(streams["items"][0]["targets"][0]["key_masked"], "****5678");
    // Nothing of the key comes back, neither in the plan nor in an export.
    assert!(!import.to_string().contains("abcd-1234"));
    assert!(!String::from_utf8_lossy(&export(&al, "csv").await).contains("abcd-1234"));
    let audit = al.get("/api/v1/audit").await.expect(200).json();
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions.iter().filter(|action| **action == "schedule.create").count(), 2);
    assert_eq!(actions[0], "schedule.import");
    let again = upload(&al, file).await;
    assert_eq!(verdicts(&again), ["same", "same"], "{again}");
    assert_eq!(take(&al, &again).await["created"], 0);
    assert_eq!(schedules(&al).await, made);
}

#[tokio::test]
async fn what_goes_out_comes_in_as_the_same() {
    let (_server, al, video) = al().await;
    let stream = stream(&al, "=SUM(A1) Rain", &video, TARGET, "abcd-efgh-ijkl-mnop").await;
    let other = self::stream(&al, "Night", &video, TARGET, "abcd-efgh-ijkl-0000").await;
    for body in [
        json!({"stream_id": stream, "starts_at": "2031-01-01T04:30:00", "time_zone": "Asia/Jakarta", "rule": "FREQ=WEEKLY;BYDAY=MO,WE",
               "times": ["12:00"], "skip_dates": ["2031-01-06"], "duration": 1801, "grace": 0}),
        json!({"stream_id": other, "starts_at": "2031-01-01T23:30:30", "time_zone": "Europe/Berlin", "stop_at": "01:15", "paused": true}),
        json!({"stream_id": other, "starts_at": "2032-01-01T10:00:00", "time_zone": "Asia/Jakarta", "stop_at": "2032-01-03T10:00"}),
        json!({"stream_id": other, "starts_at": "2033-01-01T10:00:00", "time_zone": "Asia/Jakarta", "rule": "FREQ=DAILY;COUNT=5", "duration": 60}),
    ] {
        al.post("/api/v1/schedules", &body).await.expect(201);
    }
    let all = schedules(&al).await;
    let last = format!("/api/v1/schedules/{}/occurrences", all[3]["id"].as_str().unwrap());
    al.patch(&format!("{last}/2033-01-02T10:00:00"), &json!({"starts_at": "2033-01-02T11:00:00", "duration": 30}))
        .await
        .expect(200);
    al.patch(&format!("{last}/2033-01-03T10:00:00"), &json!({"cancelled": true})).await.expect(200);
    let all = schedules(&al).await;
    assert_eq!(all[3]["exceptions"].as_array().unwrap().len(), 2);
    for format in ["xlsx", "csv"] {
        let file = export(&al, format).await;
        let import = upload(&al, file.clone()).await;
        assert_eq!(verdicts(&import), ["same"; 4], "{format}: {import}");
        assert_eq!(import["columns"].as_array().unwrap().iter().filter(|column| column["column"].is_null()).count(), 0);
        for schedule in &all {
            al.delete(&format!("/api/v1/schedules/{}", schedule["id"].as_str().unwrap())).await.expect(204);
        }
        let import = upload(&al, file.clone()).await;
        assert_eq!(verdicts(&import), ["new"; 4], "{format}: {import}");
        take(&al, &import).await;
        assert_eq!(schedules(&al).await, all, "{format}");
    }
    // A changed row is a change of its schedule, and of nothing else.
    let file = String::from_utf8(export(&al, "csv").await).unwrap();
    assert!(file.contains("\"'=SUM(A1) Rain\""), "{file}");
    let import = upload(&al, file.replace("2032-01-01 10:00:00", "2032-01-01 11:30:00")).await;
    assert_eq!(verdicts(&import), ["same", "same", "change", "same"], "{import}");
    assert_eq!(import["rows"][2]["changes"], json!(["starts_at"]));
    take(&al, &import).await;
    let changed = schedules(&al).await;
    assert_eq!(changed[2]["starts_at"], "2032-01-01T11:30:00");
    assert_eq!((&changed[0], &changed[1], &changed[3]), (&all[0], &all[1], &all[3]));
}
