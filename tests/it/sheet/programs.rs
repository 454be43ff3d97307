//! The command line, the template, and files of other programs.

use std::io::{Cursor, Read as _};

use calamine::Reader as _;
use serde_json::{Value, json};

use super::{TARGET, al, export, other_program, schedules, take, upload, verdicts};
use crate::streams::stream;
use crate::support::server::PASSWORD;

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

#[tokio::test]
async fn files_of_other_programs_are_read_and_ours_are_read_by_them() {
    let (_server, al, video) = al().await;
    stream(&al, "Main", &video, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let folder = tempfile::tempdir().unwrap();
    other_program(&["write", folder.path().to_str().unwrap()]);
    for name in ["new.xlsx", "mac.xlsx", "old.xls", "libre.ods"] {
        let import = upload(&al, std::fs::read(folder.path().join(name)).unwrap()).await;
        assert_eq!(verdicts(&import), ["new", "new"], "{name}: {import}");
        assert_eq!(import["tables"], json!(["Jadwal", "Arsip"]), "{name}");
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
    // Text and times: no formula, although a title begins like one.
    assert_eq!(ours["types"], json!(["d", "s"]));
    assert_eq!((&ours["rows"][0][0], &ours["rows"][2][0]), (&json!("title"), &json!("=Malam")));
    assert_eq!(ours["rows"].as_array().unwrap().len(), 3);
    let template = read("template.xlsx", &al.get("/api/v1/schedules/template").await.expect(200).body).await;
    assert_eq!(template["sheets"][1], json!(["lists", "hidden"]));
    assert_eq!((&template["frozen"], &template["notes"]), (&json!("A2"), &json!(12)));
    assert!(template["lists"].as_array().unwrap().len() >= 6, "{template}");
    let runs = read("history.xlsx", &al.get("/api/v1/runs/export?format=xlsx").await.expect(200).body).await;
    assert_eq!(runs["rows"][0][0], "stream");
}
