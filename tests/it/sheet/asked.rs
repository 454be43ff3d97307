//! What rows leave open, what is wrong with them, and whose they are.

use serde_json::{Value, json};

use super::{TARGET, WORKBOOK, address, al, schedules, send, take, upload, verdicts};
use crate::streams::{stream, video};
use crate::support::server::PASSWORD;

#[tokio::test]
async fn the_old_workbook_is_asked_about_and_taken_in() {
    let (_server, al, video) = al().await;
    stream(&al, "Kunci utama", &video, TARGET, "abcd-efgh-ijkl-mnop").await;
    let import = upload(&al, WORKBOOK).await;
    assert_eq!((&import["header_set"], &import["time_zone"]), (&json!("legacy_a"), &json!("Asia/Jakarta")));
    assert_eq!(verdicts(&import), ["ask", "ask", "over"], "{import}");
    // A picture that is not there is named, and keeps no row out; the old program's video was chosen elsewhere, so that it is asked for.
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
    let import = al.patch(&address(&import), &json!({"answers": answers})).await.expect(200).json();
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
