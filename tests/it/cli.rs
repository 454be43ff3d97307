//! The command line, beside a running server and without one.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::support::scratch;
use crate::support::server::{ADMIN, PASSWORD, Ran, Server};

fn names(ran: &Ran) -> Vec<String> {
    let text = |user: &serde_json::Value| user["username"].as_str().unwrap().to_owned();
    ran.json().as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn users_are_made_shown_and_deleted_beside_a_running_server_and_without_one() {
    let mut server = Server::start().await;
    for running in [true, false] {
        if !running {
            server.stop().await;
        }
        let made = server.cli_with(&["user", "add", "al", "--plan", "free", "--password-stdin"], PASSWORD).await;
        assert_eq!((made.code, made.out.as_str()), (0, "al is made\n"), "{made:?}");
        let made = server.cli(&["user", "add", "bo", "--json"]).await;
        let password = made.json()["password"].as_str().unwrap().to_owned();
        assert_eq!(names(&server.cli(&["user", "list", "--json"]).await), ["admin", "al", "bo"]);
        let shown = server.cli(&["user", "show", "al", "--json"]).await.json();
        assert_eq!((shown["plan"].as_str(), shown["storage_limit"].as_u64()), (Some("free"), Some(1 << 30)));
        assert_eq!(shown["usage"]["storage"]["by_kind"]["uploads"], 0);
        if running {
            server.api("al", PASSWORD).await.get("/api/v1/auth/me").await.expect(200);
            server.api("bo", &password).await.get("/api/v1/auth/me").await.expect(200);
        }
        assert_eq!(server.cli(&["user", "disable", "al"]).await.code, 0);
        assert_eq!(server.cli(&["user", "show", "al", "--json"]).await.json()["disabled"], true);
        assert_eq!(server.cli(&["user", "enable", "al"]).await.code, 0);
        let again = server.cli_with(&["user", "password", "al", "--password-stdin"], "another one\n").await;
        assert_eq!(again.code, 0, "{again:?}");
        if running {
            server.api("al", "another one").await.get("/api/v1/auth/me").await.expect(200);
        }
        let gone = server.cli(&["user", "delete", "al", "--yes", "--json"]).await;
        assert_eq!((gone.code, gone.json()["deleted"].as_str()), (0, Some("al")), "{gone:?}");
        assert_eq!(server.cli(&["user", "delete", "bo", "--yes"]).await.code, 0);
        assert_eq!(names(&server.cli(&["user", "list", "--json"]).await), ["admin"]);
        assert!(!server.home().join("videos/al").exists());
    }
}

#[tokio::test]
async fn exit_codes_tell_done_failed_and_wrong_use_apart() {
    let server = Server::start().await;
    for (arguments, code) in [
        (&["user", "list"][..], 0),
        (&["user", "show", "nobody"], 1),
        (&["user", "show", "../admin"], 1),
        (&["user", "add", "Admin"], 1),
        (&["user", "add", "admin"], 1),
        (&["user", "disable", "admin"], 1),
        (&["user", "delete", "admin"], 2),
        (&["user", "delete", "admin", "--yes"], 1),
        (&["user", "add", "al", "--role", "root"], 2),
        (&["user", "add", "al", "--plan", "gold"], 2),
        (&["stop"], 2),
        (&["stop", "nonsense"], 1),
        (&["stop", "--all", "0190a0a0-0000-7000-8000-000000000000"], 2),
        (&["stop", "0190a0a0-0000-7000-8000-000000000000"], 1),
        (&["stop", "--all"], 0),
        (&["status"], 0),
        (&["user"], 2),
        (&["nonsense"], 2),
        (&["--help"], 0),
    ] {
        let ran = server.cli(arguments).await;
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert_eq!(ran.code == 0, ran.err.is_empty(), "{arguments:?}: {ran:?}");
        assert!(!ran.err.contains("library") || arguments[0] != "stop", "{arguments:?}: {ran:?}");
    }
    for (arguments, told) in [
        (&["user", "show", "nobody"][..], "There is no user called nobody."),
        (&["user", "disable", "nobody"], "There is no user called nobody."),
        (&["user", "delete", "nobody", "--yes"], "There is no user called nobody."),
        (&["stop", "nonsense"], "No stream called “nonsense” is on air."),
        (&["stop", "0190a0a0-0000-7000-8000-000000000000"], "No stream with the id 0190a0a0-"),
    ] {
        let ran = server.cli(arguments).await;
        assert!(ran.err.contains(told), "{arguments:?}: {ran:?}");
    }
    assert_eq!(names(&server.cli(&["user", "list", "--json"]).await), ["admin"]);
}

#[tokio::test]
async fn a_command_in_the_wrong_folder_makes_nothing_there() {
    let server = Server::start().await;
    let folder = scratch("wrong");
    let elsewhere = folder.path().to_str().unwrap();
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_jadwalstream"))
        .args(["user", "list", "--home", elsewhere])
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("--home"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    drop(server);
}

#[tokio::test]
async fn a_user_can_be_made_before_the_first_start_and_the_admin_s_password_is_told_once() {
    let folder = scratch("first");
    let run = |arguments: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_jadwalstream"))
            .env_remove("JADWAL_ADMIN_PASSWORD")
            .args(arguments)
            .arg("--home")
            .arg(folder.path())
            .output()
            .unwrap()
    };
    let first = run(&["user", "add", "al", "--json"]);
    assert_eq!(first.status.code(), Some(0));
    assert!(serde_json::from_slice::<serde_json::Value>(&first.stdout).unwrap()["password"].is_string());
    assert_eq!(String::from_utf8_lossy(&first.stderr).matches("admin password: ").count(), 1);
    let second = run(&["user", "list", "--json"]);
    assert!(second.stderr.is_empty(), "{}", String::from_utf8_lossy(&second.stderr));
}

#[tokio::test]
async fn what_the_program_makes_is_its_owner_s_alone() {
    let server = Server::start().await;
    server.user("al").await;
    for path in ["data/.control.socket", "data/platform.redb", "data/master.key", "data/al/library.redb", "videos/al"] {
        let mode = std::fs::symlink_metadata(server.home().join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{path}: {mode:o}");
    }
}

#[tokio::test]
async fn commands_work_in_a_home_far_down_the_tree() {
    let folder = scratch("deep");
    let home = folder.path().join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&home).unwrap();
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_jadwalstream"))
        .env("JADWAL_ADMIN_PASSWORD", ADMIN)
        .args(["user", "add", "al", "--json", "--home"])
        .arg(&home)
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[tokio::test]
async fn the_routes_are_listed_with_method_path_and_access() {
    let server = Server::start().await;
    let routes = server.cli(&["routes", "--json"]).await.json();
    let wanted = json!({"method": "POST", "path": "/api/v1/auth/login", "access": "public"});
    assert!(routes.as_array().unwrap().contains(&wanted));
    for route in routes.as_array().unwrap() {
        assert!(["public", "read", "write", "operator"].contains(&route["access"].as_str().unwrap()), "{route}");
    }
}

#[tokio::test]
async fn the_status_is_one_json_value_beside_a_server_and_without_one() {
    let mut server = Server::start().await;
    for running in [true, false] {
        if !running {
            server.stop().await;
        }
        let status = server.cli(&["status", "--json"]).await;
        assert_eq!(status.code, 0, "{status:?}");
        let status = status.json();
        assert_eq!((&status["on_air"], &status["next"]), (&json!([]), &json!([])));
        assert!(status["disk"]["total"].as_u64() > Some(0) && status["memory"]["used"].as_u64() > Some(0));
        let stopped = server.cli(&["stop", "--all", "--json"]).await;
        assert_eq!((stopped.code, stopped.json()), (0, json!({"stopped": 0})), "{stopped:?}");
    }
}

#[tokio::test]
async fn a_second_server_on_a_home_says_who_has_it_and_what_to_do() {
    let server = Server::start().await;
    let second = server.cli(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(second.code, 1, "{second:?}");
    let home = format!("the home {}. ", server.home().canonicalize().unwrap().display());
    for told in [home.as_str(), &format!("process {}", server.pid()), &format!("kill {}", server.pid()), "--home"] {
        assert!(second.err.contains(told), "{told}: {}", second.err);
    }
    assert!(!second.err.contains("/data"), "{}", second.err);
}

#[tokio::test]
async fn the_log_tells_requests_only_to_those_who_ask() {
    let server = Server::start().await;
    server.stranger().get("/login").await.expect(200);
    assert!(!server.log().contains("/login"), "{}", server.log());
    let server = Server::start_with(&[("JADWAL_LOG", "info,jadwalstream::web=debug")], &["--no-demo"]).await;
    server.stranger().get("/login").await.expect(200);
    assert!(server.log().contains("path=\"/login\" status=200"), "{}", server.log());
}

#[tokio::test]
async fn the_first_start_stands_apart_at_a_terminal_and_its_lines_are_the_same() {
    let folder = scratch("terminal");
    // `script` gives the program a terminal.
    let program = env!("CARGO_BIN_EXE_jadwalstream");
    let command = format!("exec {program} serve --no-demo --listen 127.0.0.1:0 --home {}", folder.path().display());
    let mut child = std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env_remove("JADWAL_ADMIN_PASSWORD")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut said: Vec<String> = vec![];
    for line in lines.map_while(Result::ok) {
        let line = line.trim_end().to_owned();
        let last = line.starts_with("Ctrl-C");
        said.push(line);
        if last {
            break;
        }
    }
    let _ = crate::support::Ending(child);
    let at = |start: &str| said.iter().position(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{said:?}"));
    assert!(at("admin password: ") < at("listening on http://127.0.0.1:"));
    assert!(said[at("admin password: ") - 1].contains("only now"), "{said:?}");
    assert!(said.contains(&String::new()), "{said:?}");
}
