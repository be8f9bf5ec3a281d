//! The data folder of a node leads to that node, and its token to nobody else.

use std::{fs, io::Read as _, net::TcpListener, path::Path, thread, time::Duration};

use crate::{
    program::{Run, swiftctl},
    real_node::RealNode,
};

fn ask(node: &RealNode, args: &[&str]) -> Run {
    swiftctl(node.path(), &[&["--data-dir", "node"], args].concat(), b"")
}

/// Makes the folder name another address, as if its node had had that before it stopped.
fn move_to(node: &RealNode, url: &str) {
    let file = node.path().join("node/node.json");
    fs::write(file, format!(r#"{{"url": "{url}", "node_id": "{}", "pid": 1}}"#, node.id)).unwrap();
}

fn put(folder: &Path) {
    fs::write(folder.join("a b#1.iso"), "content").unwrap();
}

#[test]
fn the_folder_of_a_node_leads_to_it_with_its_token() {
    let node = RealNode::start();
    put(node.path());
    let run = ask(&node, &["upload", "a b#1.iso"]).ended(0);
    assert!(run.text().ends_with("next: swiftctl --data-dir node download 'a b#1.iso'\n"), "{}", run.text());
    assert_eq!(ask(&node, &["-o", "json", "status"]).ended(0).json()["node_id"], node.id);
}

#[test]
fn another_node_at_the_address_of_one_that_stopped_gets_no_token() {
    let (mut node, other) = (RealNode::start(), RealNode::start());
    node.stop();
    move_to(&node, &format!("http://{}", other.at));
    let run = ask(&node, &["status"]).ended(7);
    assert!(run.stderr.contains(&node.id) && run.stderr.contains(&other.id), "{}", run.stderr);
    assert!(run.stderr.contains("nothing was sent"), "{}", run.stderr);
}

#[test]
fn another_program_at_the_address_of_a_node_that_stopped_hears_no_secret() {
    let mut node = RealNode::start();
    node.stop();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    move_to(&node, &format!("http://{}", listener.local_addr().unwrap()));
    put(node.path());
    let stranger = thread::spawn(move || {
        let (mut caller, _) = listener.accept().unwrap();
        caller.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut heard = vec![0; 64];
        let len = caller.read(&mut heard).unwrap();
        drop(caller);
        heard.truncate(len);
        heard
    });
    let run = ask(&node, &["upload", "a b#1.iso"]).ended(7);
    assert!(run.stderr.contains("nothing was sent"), "{}", run.stderr);
    let heard = stranger.join().unwrap();
    // A handshake of TLS, and so no request with a token in it.
    assert_eq!(heard[0], 22, "{heard:?}");
}
