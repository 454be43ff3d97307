//! What holds for every page: who it is shown to, what its forms say, what it does with an address that is not there.

use reqwest::Method;

use crate::support::server::{PASSWORD, Server};

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
