//! Workbooks and CSV files of schedules: taken in row by row, given out, and refused where they are made to explode.

use std::io::{Cursor, Read as _, Write as _};

use calamine::Reader as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::streams::{stream, video};
use crate::support::server::{Answer, Client, PASSWORD, Server};

const WORKBOOK: &[u8] = include_bytes!("fixtures/live_stream_data.xlsx");
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

#[tokio::test]
async fn the_old_workbook_is_asked_about_and_taken_in() {
    let (_server, al, video) = al().await;
    stream(&al, "Kunci utama", &video, TARGET, "abcd-efgh-ijkl-mnop").await;
    let import = upload(&al, WORKBOOK).await;
    assert_eq!((&import["header_set"], &import["time_zone"]), (&json!("legacy_a"), &json!("Asia/Jakarta")));
    assert_eq!(verdicts(&import), ["bad", "ask", "over"], "{import}");
    // A picture that is not there is named; the old program's video was chosen elsewhere, so that it is asked for.
    let problem = &import["rows"][0]["problems"][0];
    assert_eq!(
        (&problem["row"], &problem["letters"], &problem["head"]),
        (&json!(2), &json!("K"), &json!("thumbnailFile"))
    );
    let asked: Vec<_> = import["questions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ask| (ask["question"].as_str().unwrap(), ask["found"].as_str().unwrap()))
        .collect();
    assert_eq!(asked, [("video", ""), ("key", "")]);
    let key = &import["questions"][1]["options"][0]["id"];
    let answers = json!([{"question": "video", "choice": video}, {"question": "key", "choice": key}]);
    let columns = json!({"K": null});
    let import = al.patch(&address(&import), &json!({"answers": answers, "columns": columns})).await.expect(200).json();
    assert_eq!(verdicts(&import), ["new", "new", "over"], "{import}");
    let done = take(&al, &import).await;
    assert_eq!((&done["created"], &done["skipped"]), (&json!(2), &json!(1)));
    let made = schedules(&al).await;
    let told: Vec<_> = made
        .iter()
        .map(|one| (one["stream_title"].as_str().unwrap(), one["starts_at"].as_str().unwrap(), &one["rule"]))
        .collect();
    assert_eq!(told[0], ("Ngaji Subuh Senin", "2027-01-04T04:30:00", &Value::Null));
    assert_eq!(told[1], ("Lo-fi hujan", "2027-01-05T19:30:00", &json!("FREQ=DAILY")));
    assert_eq!(made[0]["time_zone"], "Asia/Jakarta");
}

#[tokio::test]
async fn bad_rows_are_named_and_good_ones_are_taken() {
    let (server, al, _) = al().await;
    server.user("bo").await;
    let file = "title,video,start,duration,stream_key,owner,remark\n\
                Good,Rain,2031-01-01 10:00,60,aaaa-bbbb-cccc,al,x\n\
                No video,Snow,2031-01-02 10:00,60,aaaa-bbbb-cccc,,x\n\
                No time,Rain,soon,60,aaaa-bbbb-cccc,,x\n\
                Clash,Rain,2031-01-01 10:30,60,aaaa-bbbb-cccc,,x\n\
                Past,Rain,2021-01-01 10:30,60,aaaa-bbbb-cccc,,x\n\
                Foreign,Rain,2031-01-03 10:30,60,aaaa-bbbb-cccc,bo,x\n\
                Two dates,Rain,03/04/2031 10:30,60,aaaa-bbbb-cccc,,x\n\
                Long,Rain,2031-01-09 10:30,lama,aaaa-bbbb-cccc,,x\n";
    let import = upload(&al, file).await;
    assert_eq!(verdicts(&import), ["new", "bad", "bad", "bad", "over", "foreign", "bad", "bad"], "{import}");
    let problem = |row: usize| {
        let problem = &import["rows"][row]["problems"][0];
        (
            problem["row"].as_u64().unwrap(),
            problem["letters"].as_str().unwrap().to_owned(),
            problem["message"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!((problem(1).0, &*problem(1).1), (3, "B"));
    assert!(problem(1).2.contains("Snow"));
    assert!(problem(2).2.contains("soon") && problem(2).2.contains("2027-01-04 20:00"));
    assert!(problem(3).2.contains("Good"), "{:?}", problem(3));
    assert!(problem(5).2.contains("bo"));
    assert_eq!(&*problem(7).1, "D");
    assert_eq!(import["asks_day_order"], true);
    let unknown: Vec<_> = import["columns"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|column| column["column"].is_null())
        .map(|column| column["head"].as_str().unwrap())
        .collect();
    assert_eq!(unknown, ["remark"]);
    let import = al.patch(&address(&import), &json!({"day_order": "day_first"})).await.expect(200).json();
    assert_eq!(import["rows"][6]["starts_at"], "2031-04-03T10:30:00");
    // A bad row takes the others with it where it is asked for by name.
    let refused = al.post(&format!("{}/take", address(&import)), &json!({"rows": [2, 3]})).await.expect(422);
    assert!(refused.text().contains("Snow"), "{}", refused.text());
    assert!(schedules(&al).await.is_empty());
    al.post(&format!("{}/take", address(&import)), &json!({"rows": [2]})).await.expect(200);
    let made = schedules(&al).await;
    assert_eq!(made.len(), 1);
    assert_eq!(made[0]["duration"], 3600);
}

#[tokio::test]
async fn what_can_be_meant_in_two_ways_is_asked() {
    let (_server, al, first) = al().await;
    let second = video(&al, 2).await;
    stream(&al, "Main", &first, TARGET, "aaaa-bbbb-cccc-dddd").await;
    stream(&al, "Spare", &first, TARGET, "eeee-ffff-gggg-hhhh").await;
    let import = upload(
        &al,
        "title,video,start,duration,key\nA,Rain,2031-01-01 10:00,60,Main\nB,rain,2031-02-01 10:00,60,spare\n",
    )
    .await;
    assert_eq!(verdicts(&import), ["ask", "ask"], "{import}");
    let ask = &import["questions"][0];
    assert_eq!((&ask["question"], &ask["found"], &ask["rows"]), (&json!("video"), &json!("Rain"), &json!(2)));
    let options: Vec<_> =
        ask["options"].as_array().unwrap().iter().map(|option| option["id"].as_str().unwrap()).collect();
    assert_eq!(options, [&*first, &*second]);
    let answers = json!({"answers": [{"question": "video", "found": "Rain", "choice": second}]});
    let import = al.patch(&address(&import), &answers).await.expect(200).json();
    assert_eq!(verdicts(&import), ["new", "new"], "{import}");
    assert_eq!(take(&al, &import).await["streams"], 2);
    let streams = al.get("/api/v1/streams?q=B").await.json();
    assert_eq!(streams["items"][0]["videos"], json!([second]));
    assert_eq!(streams["items"][0]["targets"][0]["key_masked"], "****hhhh");
}

#[tokio::test]
async fn an_import_is_its_users_alone() {
    let (server, al, _) = al().await;
    server.user("bo").await;
    server.user_with("look", json!({"role": "demo", "tenant": "al"})).await;
    server.user_with("el", json!({"role": "user", "tenant": "al"})).await;
    let import = upload(&al, "title,start\nA,2031-01-01 10:00\n").await;
    for name in ["bo", "el"] {
        let other = server.api(name, PASSWORD).await;
        other.get(&address(&import)).await.expect(404);
        other.patch(&address(&import), &json!({"time_zone": "UTC"})).await.expect(404);
        other.post(&format!("{}/take", address(&import)), &json!({})).await.expect(404);
        other.delete(&address(&import)).await.expect(404);
    }
    let look = server.api("look", PASSWORD).await;
    send(&look, "title,start\nA,2031-01-01 10:00\n").await.expect(403);
    al.delete(&address(&import)).await.expect(204);
    al.get(&address(&import)).await.expect(404);
    for (body, status) in [
        (json!({"table": 7}), 422),
        (json!({"time_zone": "Mars/Base"}), 422),
        (json!({"columns": {"7": "title"}}), 422),
        (json!({"columns": {"A": "nothing"}}), 422),
        (json!({"day_order": "year_first"}), 422),
        (json!({"answers": [{"question": "who", "choice": "01900000-0000-7000-8000-000000000000"}]}), 422),
        (json!({"nothing": 1}), 400),
    ] {
        let import = upload(&al, "title,start\nA,2031-01-01 10:00\n").await;
        al.patch(&address(&import), &body).await.expect(status);
    }
}

fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The old workbook with a part added or replaced.
fn workbook_with(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut old = zip::ZipArchive::new(Cursor::new(WORKBOOK)).unwrap();
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    for place in 0..old.len() {
        let mut part = old.by_index(place).unwrap();
        let mut bytes = Vec::new();
        part.read_to_end(&mut bytes).unwrap();
        parts.push((part.name().unwrap().into_owned(), bytes));
    }
    parts.retain(|(known, _)| known != name);
    parts.push((name.to_owned(), bytes.to_vec()));
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    zipped(&parts)
}

/// An old workbook of 2 KiB: its sheet says that it has four thousand million lines, and holds two cells in its corners.
fn old_workbook_of_lies() -> Vec<u8> {
    let begin = [0x09, 8, 8, 0, 0, 6, 16, 0, 0, 0, 0, 0];
    let end = [0x0A, 0, 0, 0];
    let name = |at: u32| [&[0x85, 0, 9, 0][..], &at.to_le_bytes(), &[0, 0, 1, 0, b's']].concat();
    let at = u32::try_from(begin.len() + name(0).len() + end.len()).unwrap();
    let size = [&[0, 2, 14, 0][..], &10_u32.to_le_bytes(), &1_u32.to_le_bytes(), &[0, 0, 1, 0, 0, 0]].concat();
    let cell =
        |row: u16, column: u16| [&[3, 2, 14, 0][..], &row.to_le_bytes(), &column.to_le_bytes(), &[0; 10]].concat();
    let sheet = [&begin[..], &size, &cell(0, 0), &cell(65_535, 255), &end].concat();
    let stream = [&begin[..], &name(at), &end, &sheet].concat();
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    file.create_stream("/Workbook").unwrap().write_all(&stream).unwrap();
    file.into_inner().into_inner()
}

fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn bombs_are_refused_in_little_memory() {
    let (server, al, _) = al().await;
    // What the program needs at all, after an honest file.
    upload(&al, WORKBOOK).await;
    let cell = r#"<c t="inlineStr"><is><t>x</t></is></c>"#;
    let rows = |count: usize| {
        let row = format!("<row>{}</row>", cell.repeat(100));
        format!(
            r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>"#,
            row.repeat(count)
        )
    };
    let many: Vec<(String, &[u8])> = (0..5000).map(|number| (format!("xl/{number}.xml"), &b"<a/>"[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let spread = br#"<office:document-content><table:table><table:table-row table:number-rows-repeated="1048576"><table:table-cell office:value-type="float" office:value="1" table:number-columns-repeated="16384"/></table:table-row></table:table></office:document-content>"#;
    let mut random = fastrand::Rng::with_seed(3);
    // Hardly packs, so that the parts are not refused for how tightly they are packed.
    let noise: String = (0..700 << 10).map(|_| random.alphanumeric()).collect();
    let pushed = format!(
        r#"<office:document-content><a b="{noise}"/><table:table table:name="a">{}</table:table></office:document-content>"#,
        r#"<table:table-row><table:table-cell table:number-columns-repeated="16383"/><table:table-cell/></table:table-row>"#.repeat(400_000)
    );
    let looks = format!(
        r#"<styleSheet><fonts><font><name val="{}"/></font></fonts><cellXfs>{}</cellXfs></styleSheet>"#,
        noise,
        r#"<xf fontId="0"/>"#.repeat(5000)
    );
    let bombs = [
        ("pushed", zipped(&[("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", pushed.as_bytes())])),
        ("looks", workbook_with("xl/styles.xml", looks.as_bytes())),
        ("old", old_workbook_of_lies()),
        ("ratio", workbook_with("xl/worksheets/sheet1.xml", &vec![b' '; 200 << 20])),
        ("entries", zipped(&many)),
        ("cells", workbook_with("xl/worksheets/sheet1.xml", rows(12_000).as_bytes())),
        ("strings", workbook_with("xl/sharedStrings.xml", br#"<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" uniqueCount="99999999999"/>"#)),
        ("links", workbook_with("xl/externalLinks/externalLink1.xml", b"<externalLink/>")),
        ("dtd", workbook_with("xl/styles.xml", b"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><styleSheet>&b;</styleSheet>")),
        ("ods", zipped(&[("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", spread)])),
        ("size", vec![b'a'; 9 << 20]),
    ];
    let before = resident(&server);
    for (name, bomb) in bombs {
        let answer = send(&al, bomb).await;
        assert_eq!(answer.status, 413, "{name}: {}", answer.text());
    }
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 32 << 20, "{} MiB more than before", grown >> 20);
    for other in [&b"\x89PNG\r\n\x1a\n\0\0"[..], b"PK\x03\x04broken", &[0xD0, 0xCF, 0x11, 0xE0, 1, 2, 3], b""] {
        assert!([415, 422].contains(&send(&al, other).await.status));
    }
}

#[tokio::test]
async fn many_large_files_at_once_take_the_memory_of_few() {
    let (server, al, _) = al().await;
    upload(&al, WORKBOOK).await;
    let mut file = b"PK".to_vec();
    file.resize(8 << 20, b'x');
    let file = bytes::Bytes::from(file);
    let before = resident(&server);
    let sends = (0..100).map(|_| {
        let request = al.request(Method::POST, "/api/v1/schedules/imports?name=plan");
        al.send(request.header("content-type", "application/octet-stream").body(file.clone()))
    });
    for answer in futures_util::future::join_all(sends).await {
        assert_eq!(answer.status, 415, "{}", answer.text());
    }
    let grown = resident(&server).saturating_sub(before);
    // Half of what the files weigh; connections take something themselves.
    assert!(grown < 400 << 20, "{} MiB more than before", grown >> 20);
}

#[tokio::test]
async fn a_stream_that_goes_elsewhere_takes_its_other_schedules_along() {
    let (_server, al, video) = al().await;
    let one = stream(&al, "One", &video, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let two = stream(&al, "Two", &video, TARGET, "eeee-ffff-gggg-hhhh").await;
    for (stream, hour) in [(&one, 10), (&one, 12), (&two, 12)] {
        let at = format!("2031-01-04T{hour}:00");
        let body = json!({"stream_id": stream, "starts_at": at, "time_zone": "Asia/Jakarta", "duration": 3600});
        al.post("/api/v1/schedules", &body).await.expect(201);
    }
    // The schedule at ten would be fine at the other key, the one at twelve would not.
    let file = format!(
        "stream_id,title,key,starts_at,time_zone,duration\n{one},One,Two,2031-01-04 10:00,Asia/Jakarta,1:00:00\n"
    );
    let import = upload(&al, file).await;
    assert_eq!(verdicts(&import), ["bad"], "{import}");
    let told = import["rows"][0]["problems"][0]["message"].as_str().unwrap();
    assert!(told.contains("Two") && told.contains("12:00"), "{told}");
}

#[tokio::test]
async fn a_text_is_no_line_of_a_calendar() {
    let (server, al, video) = al().await;
    stream(&al, "Rain", &video, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let ends = ["\r", "\r\n", "\n", "\u{2028}", "\u{2029}"].map(|end| format!("x{end}ATTACH:http://evil"));
    let file = format!("title,key,start,description\nRain,Rain,2031-01-04 10:00,\"{}\"\n", ends.join(" "));
    take(&al, &upload(&al, file).await).await;
    let made = al.post("/api/v1/feed", &json!({})).await.expect(201).json();
    let path = reqwest::Url::parse(made["url"].as_str().unwrap()).unwrap().path().to_owned();
    let text = server.stranger().get(&path).await.expect(200).text().replace("\r\n ", "");
    assert_eq!(text.matches("ATTACH").count(), 5, "{text}");
    let strange = |letter: char| matches!(letter, '\r' | '\n' | '\u{2028}' | '\u{2029}');
    assert!(text.split(strange).all(|line| !line.starts_with("ATTACH")), "{text}");
}

#[tokio::test]
async fn another_librarys_ids_and_titles_mean_nothing() {
    let (server, al, video) = al().await;
    let stream_id = stream(&al, "Secret plans", &video, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let body =
        json!({"stream_id": stream_id, "starts_at": "2031-01-04T10:00", "time_zone": "Asia/Jakarta", "duration": 60});
    let schedule = al.post("/api/v1/schedules", &body).await.expect(201).json();
    let (id, before) = (schedule["id"].as_str().unwrap(), schedules(&al).await);
    let key =
        al.get(&format!("/api/v1/streams/{stream_id}")).await.json()["targets"][0]["id"].as_str().unwrap().to_owned();
    server.user("bo").await;
    let bo = server.api("bo", PASSWORD).await;
    let file = |id: &str, stream: &str, video: &str, key: &str| {
        format!(
            "id,stream_id,title,video,key,starts_at,owner\n{id},{stream},Secret plans,{video},{key},2031-01-04 10:00,\n"
        )
    };
    let foreign = upload(&bo, file(id, &stream_id, &video, &key)).await;
    let mut made_up = String::new();
    for _ in 0..4 {
        made_up = uuid::Uuid::now_v7().to_string();
    }
    let unknown = upload(&bo, file(&made_up, &made_up, &made_up, &made_up)).await;
    let told = |import: &Value| {
        let text = serde_json::to_string(&import["rows"]).unwrap();
        [id, &stream_id, &video, &key, &made_up].iter().fold(text, |text, id| text.replace(*id, "ID"))
    };
    assert_eq!(verdicts(&foreign), ["bad"]);
    assert_eq!(told(&foreign), told(&unknown));
    assert_eq!(foreign["questions"], json!([]));
    // With a video of one's own the row makes a schedule of one's own, and touches nothing else.
    let own = crate::streams::video(&bo, 2).await;
    let file = format!(
        "id,stream_id,title,video,stream_key,platform,url,starts_at\n{id},{stream_id},Mine,{own},kkkk-llll-mmmm,custom,{TARGET},2031-01-04 10:00\n"
    );
    let import = upload(&bo, file).await;
    assert_eq!(verdicts(&import), ["new"], "{import}");
    take(&bo, &import).await;
    assert_eq!(schedules(&al).await, before);
    assert_eq!(schedules(&bo).await.len(), 1);
    assert_eq!(al.get(&format!("/api/v1/streams/{stream_id}")).await.json()["title"], "Secret plans");
}

#[tokio::test]
async fn the_command_line_takes_files_in_and_writes_them() {
    let (mut server, al, _) = al().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.csv");
    std::fs::write(&file, "title,video,start,duration,stream_key\nA,Rain,2031-01-01 10:00,60,aaaa-bbbb-cccc\nB,Snow,2031-01-02 10:00,60,aaaa-bbbb-cccc\n").unwrap();
    let file = file.to_str().unwrap();
    let arguments = ["schedule", "import", file, "--user", "al", "--password-stdin"];
    let tried = server.cli_with(&[&arguments[..], &["--dry-run"]].concat(), PASSWORD).await;
    assert_eq!(tried.code, 3, "{tried:?}");
    assert!(tried.out.contains("row 3") && tried.out.contains("Snow"), "{tried:?}");
    assert!(schedules(&al).await.is_empty());
    assert_eq!(server.cli(&["schedule", "import", file, "--user", "al"]).await.code, 2);
    assert_eq!(server.cli_with(&arguments, "not the password").await.code, 1);
    let done = server.cli_with(&[&arguments[..], &["--json"]].concat(), PASSWORD).await;
    assert_eq!((done.code, &done.json()["imported"]["created"]), (3, &json!(1)), "{done:?}");
    assert_eq!(schedules(&al).await.len(), 1);
    server.stop().await;
    let out = folder.path().join("out.xlsx");
    let written = server
        .cli_with(&["schedule", "export", out.to_str().unwrap(), "--user", "al", "--password-stdin"], PASSWORD)
        .await;
    assert_eq!(written.code, 0, "{written:?}");
    let arguments = ["schedule", "import", out.to_str().unwrap(), "--user", "al", "--password-stdin", "--json"];
    let again = server.cli_with(&arguments, PASSWORD).await;
    assert_eq!((again.code, &again.json()["imported"]["same"]), (0, &json!(1)), "{again:?}");
}

#[tokio::test]
async fn the_template_offers_what_the_library_has_and_is_read_again() {
    let (_server, al, video) = al().await;
    stream(&al, "Main", &video, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let template = al.get("/api/v1/schedules/template").await.expect(200).body;
    let mut workbook: calamine::Xlsx<_> = calamine::Xlsx::new(Cursor::new(template.clone())).unwrap();
    let lists = workbook.worksheet_range("lists").unwrap();
    assert_eq!(lists.get((0, 0)).unwrap().to_string(), "Rain");
    let mut zip = zip::ZipArchive::new(Cursor::new(template.clone())).unwrap();
    let mut sheet = String::new();
    zip.by_name("xl/worksheets/sheet1.xml").unwrap().read_to_string(&mut sheet).unwrap();
    for wanted in ["<dataValidation ", "lists!$A$1:$A$1", "state=\"frozen\""] {
        assert!(sheet.contains(wanted), "{wanted}");
    }
    let mut notes = String::new();
    zip.by_name("xl/comments1.xml").unwrap().read_to_string(&mut notes).unwrap();
    assert!(notes.contains("rdaily") || notes.contains("daily, weekdays or weekly"));
    let import = upload(&al, template).await;
    // The hidden sheet is no table, and the example is over.
    assert_eq!(import["tables"].as_array().unwrap().len(), 1);
    assert_eq!(verdicts(&import), ["over"], "{import}");
    assert_eq!(import["columns"].as_array().unwrap().iter().filter(|column| column["column"].is_null()).count(), 0);
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
async fn files_of_other_programs_are_read_and_ours_are_read_by_them() {
    let (_server, al, video) = al().await;
    stream(&al, "Main", &video, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let folder = tempfile::tempdir().unwrap();
    other_program(&["write", folder.path().to_str().unwrap()]);
    for name in ["new.xlsx", "mac.xlsx", "old.xls", "libre.ods"] {
        let import = upload(&al, std::fs::read(folder.path().join(name)).unwrap()).await;
        assert_eq!(verdicts(&import), ["new", "new"], "{name}: {import}");
        let rows = &import["rows"];
        assert_eq!((&rows[0]["title"], &rows[1]["title"]), (&json!("Pagi"), &json!("=Malam")), "{name}");
        assert_eq!(
            (&rows[0]["starts_at"], &rows[0]["time_zone"]),
            (&json!("2031-01-04T04:30:00"), &json!("Asia/Jakarta")),
            "{name}"
        );
        assert_eq!(
            (&rows[1]["starts_at"], &rows[1]["time_zone"]),
            (&json!("2031-01-05T20:00:00"), &json!("Asia/Makassar")),
            "{name}"
        );
        take(&al, &import).await;
        let made = schedules(&al).await;
        assert_eq!((&made[0]["duration"], &made[1]["duration"]), (&json!(5400), &json!(7200)), "{name}");
        assert_eq!((&made[0]["rule"], &made[1]["paused"]), (&json!("FREQ=DAILY"), &json!(true)), "{name}");
        if name != "libre.ods" {
            for schedule in made {
                al.delete(&format!("/api/v1/schedules/{}", schedule["id"].as_str().unwrap())).await.expect(204);
            }
        }
    }
    let read = async |name: &str, bytes: &[u8]| -> Value {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        serde_json::from_str(&other_program(&["read", path.to_str().unwrap()])).unwrap()
    };
    let ours = read("ours.xlsx", &export(&al, "xlsx").await).await;
    // Text and nothing else: no formula, although a title begins like one.
    assert_eq!(ours["types"], json!(["s"]));
    assert_eq!((&ours["rows"][0][0], &ours["rows"][2][0]), (&json!("title"), &json!("=Malam")));
    assert_eq!(ours["rows"].as_array().unwrap().len(), 3);
    let template = read("template.xlsx", &al.get("/api/v1/schedules/template").await.expect(200).body).await;
    assert_eq!(template["sheets"][1], json!(["lists", "hidden"]));
    assert_eq!((&template["frozen"], &template["notes"]), (&json!("A2"), &json!(12)));
    assert!(template["lists"].as_array().unwrap().len() >= 6, "{template}");
    let runs = read("history.xlsx", &al.get("/api/v1/runs/export?format=xlsx").await.expect(200).body).await;
    assert_eq!(runs["rows"][0][0], "stream");
}

#[tokio::test]
async fn a_calendar_program_reads_what_is_planned_at_an_address_that_can_be_revoked() {
    let (server, al, video) = al().await;
    let stream = stream(&al, "Rain, on \"tin\"; and\\more", &video, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let mut ids = Vec::new();
    for body in [
        json!({"stream_id": stream, "starts_at": "2031-01-06T04:30:00", "time_zone": "Asia/Jakarta", "rule": "FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20310331",
               "skip_dates": ["2031-01-08"], "duration": 1800}),
        json!({"stream_id": stream, "starts_at": "2031-06-01T22:00:00", "time_zone": "Europe/Berlin", "stop_at": "01:00"}),
        json!({"stream_id": stream, "starts_at": "2032-01-01T08:00:00", "time_zone": "Asia/Jakarta", "rule": "FREQ=DAILY;COUNT=4", "times": ["12:00"], "duration": 60}),
        json!({"stream_id": stream, "starts_at": "2033-01-01T08:00:00", "time_zone": "Asia/Jakarta", "duration": 60, "paused": true}),
    ] {
        ids.push(al.post("/api/v1/schedules", &body).await.expect(201).json()["id"].as_str().unwrap().to_owned());
    }
    let moved = format!("/api/v1/schedules/{}/occurrences/2031-01-13T04:30:00", ids[0]);
    al.patch(&moved, &json!({"starts_at": "2031-01-13T06:00:00"})).await.expect(200);
    assert_eq!(al.get("/api/v1/feed").await.expect(200).json(), json!({"made_at": null}));
    let made = al.post("/api/v1/feed", &json!({})).await.expect(201).json();
    let path = reqwest::Url::parse(made["url"].as_str().unwrap()).unwrap().path().to_owned();
    let stranger = server.stranger();
    let answer = stranger.get(&path).await.expect(200);
    assert_eq!(answer.header("content-type"), "text/calendar; charset=utf-8");
    assert!(answer.header("cache-control").starts_with("private"));
    let tag = answer.header("etag").to_owned();
    let again = stranger.send(stranger.request(Method::GET, &path).header("if-none-match", &tag)).await;
    assert_eq!(again.status, 304);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("feed.ics");
    std::fs::write(&file, &answer.body).unwrap();
    let read: Value = serde_json::from_str(&other_program(&["calendar", file.to_str().unwrap()])).unwrap();
    let events = read["events"].as_array().unwrap();
    let of =
        |id: &str| events.iter().filter(|event| event["uid"].as_str().unwrap().starts_with(id)).collect::<Vec<_>>();
    let weekly = of(&ids[0]);
    assert_eq!(weekly.len(), 2, "{read}");
    assert_eq!(weekly[0]["summary"], "Rain, on \"tin\"; and\\more");
    assert_eq!((&weekly[0]["start"], &weekly[0]["seconds"]), (&json!("2031-01-06T04:30:00+07:00"), &json!(1800)));
    let rule = weekly[0]["rule"].as_str().unwrap();
    assert!(
        rule.contains("FREQ=WEEKLY") && rule.contains("BYDAY=MO,WE") && rule.contains("UNTIL=20310331T165959Z"),
        "{rule}"
    );
    assert_eq!(weekly[0]["exdates"], json!(["2031-01-08T04:30:00+07:00"]));
    assert_eq!(
        (&weekly[1]["of"], &weekly[1]["start"]),
        (&json!("2031-01-13T04:30:00+07:00"), &json!("2031-01-13T06:00:00+07:00"))
    );
    let night = of(&ids[1]);
    assert_eq!((&night[0]["start"], &night[0]["seconds"]), (&json!("2031-06-01T22:00:00+02:00"), &json!(3 * 3600)));
    assert_eq!(read["zones"], json!({"Asia/Jakarta": 25200.0, "Europe/Berlin": 7200.0}));
    let twice = of(&ids[2]);
    assert_eq!(twice.len(), 2);
    assert!(twice.iter().all(|event| event["rule"].as_str().unwrap().contains("UNTIL=20320102T050000Z")), "{read}");
    assert!(of(&ids[3]).is_empty());
    // A new address makes the old one void, and so does revoking.
    let second = al.post("/api/v1/feed", &json!({})).await.expect(201).json();
    let second = reqwest::Url::parse(second["url"].as_str().unwrap()).unwrap().path().to_owned();
    stranger.get(&path).await.expect(404);
    stranger.get(&second).await.expect(200);
    let token = second.trim_start_matches("/feeds/").trim_end_matches(".ics");
    assert!(!server.log().contains(token));
    al.delete("/api/v1/feed").await.expect(204);
    stranger.get(&second).await.expect(404);
    al.post("/api/v1/feed", &json!({})).await.expect(201);
    server.user_with("look", json!({"role": "demo", "tenant": "al"})).await;
    server.api("look", PASSWORD).await.post("/api/v1/feed", &json!({})).await.expect(403);
}

#[tokio::test]
async fn the_pages_lead_from_the_file_to_the_schedules() {
    let (server, api, video) = al().await;
    stream(&api, "Main", &video, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let al = server.login("al", PASSWORD).await;
    let folder = tempfile::tempdir().unwrap();
    let send = async |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        al.upload("/schedules/files", &[("csrf", &al.csrf)], &[(name, &path)]).await
    };
    let refused = send("bomb.xlsx", &zipped(&[("xl/a.xml", b"<a/>")])).await;
    assert_eq!(refused.status, 415);
    assert!(refused.text().contains("role=\"alert\""));
    let long = format!("title,start\n{}", "A,2031-01-04 04:30\n".repeat(2001));
    let refused = send("long.csv", long.as_bytes()).await;
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("2,001 rows"), "{}", refused.text());
    let file = "nama acara;film;mulai;kunci\nPagi;Rain;2031-01-04 04:30;Main\nSore;Snow;2031-01-04 16:30;Main\n";
    let started = send("plan.csv", file.as_bytes()).await.expect(303);
    let path = started.header("location").to_owned();
    let shown = al.get(&path).await.expect(200).text();
    assert!(shown.contains("nama acara") && shown.contains("plan.csv"), "{shown}");
    let mapped = [
        ("column_0", "title"),
        ("column_1", "videos"),
        ("column_2", "starts_at"),
        ("column_3", "key"),
        ("time_zone", "Asia/Jakarta"),
    ];
    let shown = al.form(&path, &[&mapped[..], &[("act", "look")]].concat()).await.expect(200).text();
    assert!(shown.contains("Snow"), "{shown}");
    assert!(schedules(&api).await.is_empty());
    let nothing = al.form(&path, &[&mapped[..], &[("act", "take")]].concat()).await.expect(200).text();
    assert!(nothing.contains("role=\"alert\""));
    let wrong = al.form(&path, &[&mapped[..], &[("act", "take"), ("row", "3")]].concat()).await.expect(200).text();
    assert!(wrong.contains("role=\"alert\"") && wrong.contains("Snow"));
    al.form(&path, &[&mapped[..], &[("act", "take"), ("row", "2")]].concat()).await.expect(303);
    assert_eq!(schedules(&api).await.len(), 1);
    al.get(&path).await.expect(404);
    let page = al.form("/schedules/feed", &[]).await.expect(200).text();
    let url = page.split("/feeds/").nth(1).expect("the address").split('"').next().unwrap();
    server.stranger().get(&format!("/feeds/{url}")).await.expect(200);
    assert!(!al.get("/schedules/files").await.expect(200).text().contains("/feeds/"));
    al.form("/schedules/feed/revoke", &[]).await.expect(303);
    for path in ["/schedules/export?format=xlsx", "/schedules/template", "/history/export?format=csv"] {
        assert!(al.get(path).await.expect(200).header("content-disposition").starts_with("attachment"));
    }
}
