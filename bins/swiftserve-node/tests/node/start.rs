//! How the program starts, and says why it does not; how it stops.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _};

use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::{
    client::until,
    program::{Program, fails},
    site::{Home, Site, content},
    wire::Wire,
};

/// One line that says all of this.
fn one_line(stderr: &str, words: &[&str]) {
    // The log before it has lines of its own; what ended the program is the last.
    let line = stderr.lines().last().unwrap_or_default();
    assert!(line.starts_with("swiftserve-node: "), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    for word in words {
        assert!(line.contains(word), "{line:?} does not say {word:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_port_is_refused_by_its_value_and_nothing_is_made() {
    let home = Home::new();
    let folder = home.path("data");
    for port in ["0", "70000", "-1", "http"] {
        let port_flag = format!("--port={port}");
        let stderr = fails(&["--data-dir", folder.to_str().unwrap(), &port_flag]).await;
        one_line(&stderr, &["--port", port]);
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let home = Home::new();
    let stderr = fails(&["--data-dir", home.folder().to_str().unwrap(), "--port", &port]).await;
    one_line(&stderr, &["127.0.0.1", &port, "in use", "--port"]);
    assert!(!home.path("ledger.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_is_named_and_its_node_goes_on() {
    let running = Program::start(Home::new(), &[]).await;
    let (folder, other) = (running.home.folder().to_str().unwrap(), Home::new());
    let port = other.port().to_string();
    one_line(&fails(&["--data-dir", folder, "--port", &port]).await, &[folder, "in use"]);
    running.home.admin().get("/v1/status").await.is(200);
    running.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_others_can_read_is_named() {
    let home = Site::found().await.stop().await;
    let key = home.path("node.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let port = home.port().to_string();
    let args = ["--data-dir", home.folder().to_str().unwrap(), "--port", &port];
    one_line(&fails(&args).await, &[key.to_str().unwrap(), "0640", "chmod 600"]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    Program::start(home, &[]).await.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_setting_is_named_with_its_file_and_line() {
    let home = Home::new();
    let file = home.path("swiftserve.toml");
    fs::write(&file, "log = \"warn\"\nprot = 8001\n").unwrap();
    let stderr = fails(&["--data-dir", home.folder().to_str().unwrap()]).await;
    one_line(&stderr, &[file.to_str().unwrap(), "line 2", "prot"]);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    fs::write(&file, "log = \n").unwrap();
    let stderr = fails(&["--data-dir", home.folder().to_str().unwrap()]).await;
    one_line(&stderr, &[file.to_str().unwrap(), "line 1"]);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_cut_short_is_named_as_damaged() {
    let founder = Site::found().await;
    let ticket = founder.invite().await;
    let home = Home::new();
    let folder = home.path("data");
    for cut in [&ticket[..ticket.len() - 1], &ticket[..20], "swift1", "hello"] {
        let stderr = fails(&["--data-dir", folder.to_str().unwrap(), "--join", cut]).await;
        one_line(&stderr, &["--join", "ticket"]);
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_taken_in_says_why_and_leaves() {
    let founder = Site::found().await;
    let ticket = founder.invite().await;
    let joined = Site::join(&ticket).await;
    let home = Home::new();
    let port = home.port().to_string();
    let args = ["--data-dir", home.folder().to_str().unwrap(), "--port", &port, "--join", &ticket];
    one_line(&fails(&args).await, &["the invitation was used before"]);
    assert!(!home.path("ledger.db").exists());
    drop(joined);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_stops_well() {
    let mut program = Program::start(Home::new(), &[]).await;
    program.home.admin().put("a", b"a").await.ok();
    // A connection that is open and idle holds nothing up.
    let idle = Wire::connect(program.home.address()).await;
    program.signal(Signal::TERM);
    let (status, stderr) = program.ended().await;
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    drop(idle);
    let program = Program::start(program.into_home(), &[]).await;
    assert_eq!(program.home.admin().names().await, ["a"]);
    program.terminate().await;
}

/// An upload that is half way, on a bare connection.
async fn half_an_upload(home: &Home, bytes: &[u8]) -> Wire {
    let mut wire = Wire::connect(home.address()).await;
    wire.begin_put(&home.admin(), "/v1/files/a", bytes.len()).await;
    wire.send(&bytes[..bytes.len() / 2]).await;
    until(|| async { !home.listed("content/uploads").is_empty() }).await;
    wire
}

/// From then on the program has heard that it shall stop.
async fn takes_nobody(home: &Home) {
    until(|| async { TcpStream::connect(home.address()).await.is_err() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_lets_a_running_upload_finish() {
    let mut program = Program::start(Home::new(), &[]).await;
    let bytes = content(6 << 20, 1);
    let mut wire = half_an_upload(&program.home, &bytes).await;
    program.signal(Signal::TERM);
    takes_nobody(&program.home).await;
    wire.send(&bytes[bytes.len() / 2..]).await;
    let answer = wire.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let (status, stderr) = program.ended().await;
    assert_eq!(status.code(), Some(0), "{stderr}");

    let program = Program::start(program.into_home(), &[]).await;
    assert!(program.home.admin().get("/v1/files/a").await.is(200).body == bytes);
    program.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_twice_it_stops_at_once_and_leaves_no_half_file() {
    let mut program = Program::start(Home::new(), &[]).await;
    let bytes = content(6 << 20, 1);
    let wire = half_an_upload(&program.home, &bytes).await;
    program.signal(Signal::TERM);
    takes_nobody(&program.home).await;
    program.signal(Signal::TERM);
    let (status, stderr) = program.ended().await;
    assert_eq!(status.code(), Some(1), "{stderr}");
    drop(wire);
    let program = Program::start(program.into_home(), &[]).await;
    assert_eq!(program.home.listed("content/uploads"), Vec::<String>::new());
    assert_eq!(program.home.admin().height().await, 0);
    program.terminate().await;
}
