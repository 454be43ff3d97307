//! What rows mean by name: keys and pictures that came from an old home, rows of somebody else, answers in words, heads
//! as people call them.

use serde_json::{Value, json};

use super::{TARGET, WORKBOOK, address, al, export, schedules, take, upload, verdicts};
use crate::streams::{stream, video};
use crate::support::old_home::{OLD_ADMIN, OldHome};
use crate::support::scratch;
use crate::support::server::{PASSWORD, Server};

fn titles(ask: &Value) -> Vec<&str> {
    ask["options"].as_array().unwrap().iter().map(|option| option["title"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_workbook_of_a_home_that_moved_in_names_its_keys_and_pictures() {
    let (old, home) = (OldHome::tidy(), scratch("sheet-moved"));
    let mut moving = std::process::Command::new(env!("CARGO_BIN_EXE_jadwalstream"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JADWAL_")) {
        moving.env_remove(name);
    }
    moving.args(["migrate", "--apply", "--from", old.text(), "--home"]).arg(home.path());
    let moved = moving.output().unwrap();
    assert_eq!(moved.status.code(), Some(3), "{moved:?}");
    let server = Server::start_in(home, &[("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true")], &["--no-demo"]).await;
    let admin = server.api("admin", OLD_ADMIN).await;
    let import = upload(&admin, WORKBOOK).await;
    assert_eq!(verdicts(&import), ["same", "ask", "over"], "{import}");
    let key = import["questions"].as_array().unwrap().iter().find(|ask| ask["question"] == "key").unwrap();
    assert!(titles(key).contains(&"channel_utama · Kunci cadangan · youtube ****xxxx"), "{key}");
    assert!(titles(key).iter().any(|title| title.starts_with("channel_utama · Kunci utama · youtube ****")), "{key}");
    // An answer that means nothing is refused with what would mean something; names will do for ids.
    let answer = |key: &str| json!({"answers": [{"question": "video", "choice": "Loop malam"}, {"question": "key", "choice": key}]});
    let refused = admin.patch(&address(&import), &answer("x")).await.expect(422).text();
    assert!(refused.contains("“x”") && refused.contains("Kunci cadangan"), "{refused}");
    let answered = admin.patch(&address(&import), &answer("kunci cadangan")).await.expect(200).json();
    assert_eq!(verdicts(&answered), ["same", "new", "over"], "{answered}");
    // A kept key is a name for a row too, and a picture is known by the name of its file.
    let file = "title,video,start,duration,key,thumbnail\n\
                A,Loop malam,2031-01-01 10:00,60,Kunci cadangan,thumbnails/b5f3a2de-1111-4c77-9a10-2f6f1a7e0a01.jpg\n\
                B,videos/live-loop.mp4,2031-01-02 10:00,60,YtStreamId0002,nowhere.jpg\n";
    let import = upload(&admin, file).await;
    assert_eq!(verdicts(&import), ["new", "new"], "{import}");
    assert_eq!(import["rows"][0]["problems"], json!([]));
    let note = import["rows"][1]["problems"][0]["message"].as_str().unwrap();
    assert!(note.contains("nowhere.jpg") && note.contains("without"), "{note}");
    assert!(import["questions"][0]["question"] == "thumbnail" && import["questions"][0]["needed"] == false);
    take(&admin, &answered).await;
    let streams = admin.get("/api/v1/streams?q=Lo-fi").await.json();
    let made = streams["items"].as_array().unwrap().iter().find(|stream| stream["title"] == "Lo-fi hujan").unwrap();
    assert_eq!(made["targets"][0]["key_masked"], "****xxxx");
}

#[tokio::test]
async fn rows_of_somebody_else_come_in_as_new_ones_when_that_is_said() {
    let (server, al, rain) = al().await;
    let stream_id = stream(&al, "Pagi", &rain, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let body =
        json!({"stream_id": stream_id, "starts_at": "2031-01-04T10:00", "time_zone": "Asia/Jakarta", "duration": 60});
    al.post("/api/v1/schedules", &body).await.expect(201);
    let before = schedules(&al).await;
    let file = export(&al, "xlsx").await;
    server.user("bo").await;
    let bo = server.api("bo", PASSWORD).await;
    let own = video(&bo, 2).await;
    stream(&bo, "Malam", &own, TARGET, "eeee-ffff-gggg-hhhh").await;
    let import = upload(&bo, file.clone()).await;
    assert_eq!(verdicts(&import), ["foreign"], "{import}");
    let ask = &import["questions"][0];
    assert_eq!((&ask["question"], &ask["found"]), (&json!("owner"), &json!("al")));
    let answers = json!([{"question": "owner", "found": "al", "choice": "mine"}]);
    let import = bo.patch(&address(&import), &json!({"answers": answers})).await.expect(200).json();
    assert_eq!(verdicts(&import), ["ask"], "{import}");
    let answers = json!([
        {"question": "owner", "found": "al", "choice": "mine"},
        {"question": "key", "found": import["questions"][1]["found"], "choice": "Malam"},
    ]);
    let import = bo.patch(&address(&import), &json!({"answers": answers})).await.expect(200).json();
    assert_eq!(verdicts(&import), ["new"], "{import}");
    take(&bo, &import).await;
    let made = schedules(&bo).await;
    assert_eq!((&made[0]["stream_title"], &made[0]["starts_at"]), (&json!("Pagi"), &json!("2031-01-04T10:00:00")));
    assert!(made[0]["id"] != before[0]["id"] && made[0]["stream_id"] != before[0]["stream_id"]);
    assert_eq!(schedules(&al).await, before);
    // The same file again, with the same answers, is nothing new; left out, it is nothing at all.
    let import = upload(&bo, file.clone()).await;
    let import = bo.patch(&address(&import), &json!({"answers": answers})).await.expect(200).json();
    assert_eq!(verdicts(&import), ["same"], "{import}");
    let answers = json!([{"question": "owner", "found": "al", "choice": "leave"}]);
    let import = bo.patch(&address(&import), &json!({"answers": answers})).await.expect(200).json();
    assert_eq!(verdicts(&import), ["foreign"], "{import}");
}

#[tokio::test]
async fn choices_that_are_called_the_same_can_be_told_apart_and_answered_by_what_they_show() {
    let (mut server, al, _) = al().await;
    video(&al, 4).await;
    stream(&al, "Main", &video(&al, 3).await, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let file = "title,video,start,key\n,Rain,2031-01-01 10:00,Main\n";
    let import = upload(&al, file).await;
    let titles = titles(&import["questions"][0]).iter().map(|title| (*title).to_owned()).collect::<Vec<_>>();
    assert!(titles[1].starts_with("Rain · 0:04 · rain.mp4 · 20"), "{titles:?}");
    let answers = json!([{"question": "video", "found": "Rain", "choice": titles[1]}]);
    let import = al.patch(&address(&import), &json!({"answers": answers})).await.expect(200).json();
    // A title that is taken from the video, for want of one, is told.
    assert!(import["rows"][0]["problems"][0]["message"].as_str().unwrap().contains("Rain"), "{import}");
    let answers = json!([{"question": "video", "found": "Rain", "choice": "rain.mp4"}]);
    al.patch(&address(&import), &json!({"answers": answers})).await.expect(422);
    // The command line says the same in words.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.csv");
    std::fs::write(&path, "A,B,C,D\nPagi,Rain,2031-01-01 10:00,Main\n").unwrap();
    let command = ["schedule", "import", path.to_str().unwrap(), "--user", "al", "--password-stdin", "--dry-run"];
    let run = async |more: &[&str]| server.cli_with(&[&command[..], more].concat(), PASSWORD).await;
    let known = ["--map", "A=judul", "--map", "B=Berkas film", "--map", "C=Kapan tayang", "--map", "D=kunci"];
    let told = run(&known).await;
    assert!(told.out.contains("which video is “Rain”") && told.out.contains("0:04 · rain.mp4"), "{told:?}");
    let told = run(&[&known[..], &["--answer", "video:Rain=x"]].concat()).await;
    assert!(told.code == 1 && told.err.contains("“x”") && told.err.contains("0:04"), "{told:?}");
    assert!(!told.err.contains("notes beside"), "{told:?}");
    let told = run(&["--map", "A=nothing"]).await;
    assert!(told.err.contains("“nothing”") && told.err.contains("starts_at"), "{told:?}");
    let help = server.cli(&["schedule", "import", "--help"]).await;
    assert!(help.out.contains("starts_at"), "{help:?}");
    server.stop().await;
}

#[tokio::test]
async fn what_changes_is_told_with_what_it_was() {
    let (_server, al, rain) = al().await;
    let stream_id = stream(&al, "Pagi", &rain, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let body =
        json!({"stream_id": stream_id, "starts_at": "2031-01-04T10:00", "time_zone": "Asia/Jakarta", "duration": 60});
    al.post("/api/v1/schedules", &body).await.expect(201);
    let file = String::from_utf8(export(&al, "csv").await).unwrap();
    let import = upload(&al, file.replace("2031-01-04 10:00:00", "2031-01-04 11:30:00").replace("0:01:00", "")).await;
    assert_eq!(
        import["rows"][0]["differences"],
        json!([
            {"column": "starts_at", "from": "2031-01-04 10:00:00", "to": "2031-01-04 11:30:00"},
            {"column": "duration", "from": "0:01:00", "to": ""},
        ])
    );
}
