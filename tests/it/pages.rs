//! What holds for every page: who it is shown to, what its forms say, what it does with an address that is not there.

use reqwest::Method;
use serde_json::json;

use crate::support::server::{ADMIN, PASSWORD, Server};

#[tokio::test]
async fn an_address_that_is_not_there_is_told_within_the_reader_s_own_pages() {
    let server = Server::start().await;
    server.user("al").await;
    let (al, stranger) = (server.login("al", PASSWORD).await, server.stranger());
    let unknown = ["/nothing", "/nothing/at/all", "/videos/x"];
    for (method, path, status) in unknown.map(|path| ("GET", path, 404)).into_iter().chain([
        ("POST", "/nothing", 404),
        ("DELETE", "/nothing", 404),
        ("PATCH", "/videos", 405),
        ("DELETE", "/settings", 405),
    ]) {
        let ask = async |client: &crate::support::server::Client| {
            let request = client.request(method.parse::<Method>().unwrap(), path).header("accept", "text/html");
            client.send(request).await
        };
        let own = ask(&al).await.expect(status).text();
        assert!(own.contains("class=\"rail\"") && own.contains("/logout"), "{method} {path}: {own}");
        assert!(own.contains(&format!("content=\"{}\"", al.csrf)), "{method} {path}: the page's forms do not work");
        let strange = ask(&stranger).await;
        if status == 404 && !path.starts_with("/videos") {
            let strange = strange.expect(status).text();
            assert!(!strange.contains("class=\"rail\"") && !strange.contains("/logout"), "{method} {path}");
        }
    }
}

/// What the upload page says that still fits, with its unit.
async fn still_fits(server: &Server) -> String {
    let page = server.login("al", PASSWORD).await.get("/videos").await.expect(200).text();
    let hint = page.split_once("GiB each").expect("the hint").1.split_once("</p>").unwrap().0;
    hint.trim_start_matches([';', '.', ' ']).to_owned()
}

#[tokio::test]
async fn what_still_fits_is_what_the_disk_and_the_quota_both_take() {
    let server = Server::start().await;
    server.user_with("al", json!({"storage_limit": 3_u64 << 30})).await;
    assert_eq!(still_fits(&server).await, "3 GiB still fit.");
    let (api, limit) = (server.api("admin", ADMIN).await, json!({"storage_limit": 1_u64 << 52}));
    api.patch("/api/v1/users/al", &limit).await.expect(200);
    let disk = api.get("/api/v1/status").await.expect(200).json()["disk"].clone();
    let room = (disk["total"].as_f64().unwrap() - disk["used"].as_f64().unwrap()) / (1 << 30) as f64 - 0.5;
    let told = still_fits(&server).await;
    let (number, rest) = told.split_once(' ').unwrap();
    assert_eq!(rest, "GiB still fit.");
    let number: f64 = number.replace(',', "").parse().unwrap();
    // Others write to the disk meanwhile.
    assert!((number - room).abs() < room * 0.2 + 1.0, "{number} of {room}");
    drop(server);

    let server = Server::start_with(&[("JADWAL_LIMITS_DISK_FLOOR_MIB", "1000000000")], &["--no-demo"]).await;
    server.user("al").await;
    assert!(still_fits(&server).await.starts_with("No room is left"));
}

#[tokio::test]
async fn a_number_is_written_the_same_wherever_it_stands() {
    let server = Server::start().await;
    server.user_with("al", json!({"plan": "enterprise"})).await;
    let admin = server.login("admin", ADMIN).await;
    for (locale, told, other) in [("en", "1,000 GiB", "1000 GiB"), ("id", "1.000 GiB", "1000 GiB")] {
        admin.form("/preferences", &[("locale", locale)]).await.expect(303);
        let page = admin.get("/admin/users/al").await.expect(200).text();
        assert!(page.matches(told).count() >= 2 && !page.contains(other), "{locale}: {page}");
    }
}

#[tokio::test]
async fn a_refused_form_leads_back_to_its_page() {
    let server = Server::start().await;
    server.user("al").await;
    let admin = server.login("admin", ADMIN).await;
    for (path, fields, status, page) in [
        ("/admin/users/al/delete", vec![("name", "la")], 422, "/admin/users/al"),
        ("/admin/users/al/password", vec![("password", "x")], 422, "/admin/users/al"),
        (
            "/admin/users",
            vec![("username", ""), ("password", ""), ("role", "user"), ("plan", "free")],
            422,
            "/admin/users/new",
        ),
        ("/streams", vec![("title", "")], 422, "/streams/new"),
        ("/settings/password", vec![("current_password", "x"), ("password", "x"), ("repeat", "y")], 422, "/settings"),
        ("/videos/delete", vec![("id", "nonsense")], 400, "/videos"),
    ] {
        let answer = admin.form(path, &fields).await.expect(status).text();
        assert!(answer.contains(&format!("data-address=\"{page}\"")), "{path}: {answer}");
        assert!(answer.contains(&format!("name=\"back\" value=\"{page}\"")), "{path}: {answer}");
        admin.get(page).await.expect(200);
    }
    assert!(!admin.get("/settings").await.text().contains("data-address"));
}

#[tokio::test]
async fn a_user_is_deleted_by_typing_the_name_and_is_asked_nothing_else() {
    let server = Server::start().await;
    server.user("al").await;
    let page = server.login("admin", ADMIN).await.get("/admin/users/al").await.expect(200).text();
    let form = page.split_once("action=\"/admin/users/al/delete\"").unwrap().1.split_once("</form>").unwrap().0;
    assert!(!form.split_once('>').unwrap().0.contains("data-confirm"), "{form}");
    assert!(form.contains("pattern=\"al\"") && form.contains("exactly"), "{form}");
}
