//! The pages that lead from a file to its schedules.

use super::{TARGET, al, schedules, zipped};
use crate::streams::stream;
use crate::support::server::PASSWORD;

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
    assert!(shown.contains("option value=\"videos\" selected"), "{shown}");
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
    // What was left out, and why, can still be read; sent again, the form leads there.
    let left = al.get(&path).await.expect(200).text();
    assert!(left.contains("Snow") && left.contains("Sore") && !left.contains("name=\"row\""), "{left}");
    assert_eq!(al.form(&path, &mapped).await.expect(303).header("location"), path);
    let page = al.form("/schedules/files/feed", &[]).await.expect(200).text();
    let url = page.split("/feeds/").nth(1).expect("the address").split('"').next().unwrap();
    server.stranger().get(&format!("/feeds/{url}")).await.expect(200);
    assert!(!al.get("/schedules/files").await.expect(200).text().contains("/feeds/"));
    al.form("/schedules/files/feed/revoke", &[]).await.expect(303);
    for path in ["/schedules/export?format=xlsx", "/schedules/template", "/history/export?format=csv"] {
        assert!(al.get(path).await.expect(200).header("content-disposition").starts_with("attachment"));
    }
}
