use super::*;

fn folder(url: &str, token: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let node = format!(r#"{{"url": "{url}", "node_id": "x", "pid": 1}}"#);
    fs::write(folder.path().join(NODE_FILE), node).unwrap();
    fs::write(folder.path().join(TOKEN_FILE), format!("{token}\n")).unwrap();
    folder
}

fn settings(flags: [Option<&str>; 3], env: [Option<&str>; 3]) -> Settings {
    let [node, token, data_dir] = flags.map(|flag| flag.map(str::to_owned));
    let flags = NodeOptions { node, token, data_dir: data_dir.map(PathBuf::from) };
    Settings::new(flags, |name| {
        let at =
            ["SWIFTSERVE_NODE", "SWIFTSERVE_TOKEN", "SWIFTSERVE_DATA_DIR"].iter().position(|n| *n == name);
        env[at.unwrap()].map(OsString::from)
    })
}

fn found(settings: &Settings) -> (String, Option<String>) {
    let target = Target::find(settings).unwrap();
    (target.url.to_string(), target.token)
}

const NONE: [Option<&str>; 3] = [None; 3];

#[test]
fn a_data_folder_tells_address_and_token() {
    let folder = folder("http://127.0.0.1:8001", "secret");
    let path = folder.path().to_str();
    for settings in [settings([None, None, path], NONE), settings(NONE, [None, None, path])] {
        assert_eq!(found(&settings), ("http://127.0.0.1:8001/".into(), Some("secret".into())));
        assert_eq!(Target::find_token(&settings).unwrap(), "secret");
    }
}

#[test]
fn what_is_given_outright_wins_over_the_folder() {
    let folder = folder("http://127.0.0.1:8001", "secret");
    let path = folder.path().to_str();
    let both = settings([Some("http://127.0.0.1:9"), Some("mine"), path], NONE);
    assert_eq!(found(&both), ("http://127.0.0.1:9/".into(), Some("mine".into())));
    let only_node = settings([Some("http://127.0.0.1:9"), None, path], NONE);
    assert_eq!(found(&only_node), ("http://127.0.0.1:9/".into(), Some("secret".into())));
}

#[test]
fn flags_win_over_the_environment() {
    let folder = folder("http://127.0.0.1:8001", "secret");
    let env = [Some("http://127.0.0.1:9"), Some("from-env"), None];
    let settings = settings([None, None, folder.path().to_str()], env);
    assert_eq!(found(&settings), ("http://127.0.0.1:8001/".into(), Some("secret".into())));
}

#[test]
fn the_folders_token_is_not_shown_to_another_machine() {
    let folder = folder("http://127.0.0.1:8001", "secret");
    let path = folder.path().to_str();
    let elsewhere = settings([Some("http://192.0.2.1:8001"), None, None], [None, None, path]);
    assert_eq!(found(&elsewhere).1, None);
}

#[test]
fn a_folder_without_a_node_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let error = Target::find(&settings([None, None, folder.path().to_str()], NONE)).unwrap_err();
    assert_eq!(error.exit_code(), 7);
    assert!(error.to_string().contains("swiftserve-node --data-dir"), "{error}");
}

#[test]
fn without_any_word_about_a_node_the_usage_is_wrong() {
    assert_eq!(Target::find(&settings(NONE, NONE)).unwrap_err().exit_code(), 2);
    assert_eq!(Target::find(&settings(NONE, [Some(""), None, Some("")])).unwrap_err().exit_code(), 2);
}

#[test]
fn addresses_that_cannot_work_are_refused() {
    for url in ["127.0.0.1:8001", "ftp://a", "http://a/x", "http://u:p@a", "https://a", "", "http://a?b"] {
        assert_eq!(parse_url(url).unwrap_err().exit_code(), 2, "{url}");
    }
    assert!(parse_url("http://[::1]:8001").is_ok_and(|url| is_loopback(&url)));
    assert!(parse_url("http://localhost:1").is_ok_and(|url| is_loopback(&url)));
    assert!(parse_url("http://10.0.0.1:1").is_ok_and(|url| !is_loopback(&url)));
}
