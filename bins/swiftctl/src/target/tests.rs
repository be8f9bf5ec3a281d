use super::*;

fn folder(url: &str, token: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let node = format!(r#"{{"url": "{url}", "node_id": "{ID}", "pid": 1}}"#);
    fs::write(folder.path().join(NODE_FILE), node).unwrap();
    fs::write(folder.path().join(TOKEN_FILE), format!("{token}\n")).unwrap();
    folder
}

fn settings(flags: [Option<&str>; 3], env: [Option<&str>; 3]) -> Settings {
    let [node, token, data_dir] = flags.map(|flag| flag.map(str::to_owned));
    let flags = NodeOptions { node, token, token_file: None, data_dir: data_dir.map(PathBuf::from) };
    Settings::new(flags, |name| {
        let at =
            ["SWIFTSERVE_NODE", "SWIFTSERVE_TOKEN", "SWIFTSERVE_DATA_DIR"].iter().position(|n| *n == name);
        env[at?].map(OsString::from)
    })
}

fn found(settings: &Settings) -> (String, Option<String>) {
    let target = Target::find(settings).unwrap();
    (target.url.to_string(), target.token)
}

/// Why there is no target. What there is holds a token, and is not for printing.
fn refused(settings: &Settings) -> Error {
    Target::find(settings).err().unwrap()
}

const NONE: [Option<&str>; 3] = [None; 3];
const ID: &str = "aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa";

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
    let error = refused(&settings([None, None, folder.path().to_str()], NONE));
    assert_eq!(error.exit_code(), 7);
    assert!(error.to_string().contains("swiftserve-node --data-dir"), "{error}");
}

#[test]
fn without_any_word_about_a_node_the_usage_is_wrong() {
    assert_eq!(refused(&settings(NONE, NONE)).exit_code(), 2);
    assert_eq!(refused(&settings(NONE, [Some(""), None, Some("")])).exit_code(), 2);
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

#[test]
fn an_id_before_the_address_is_to_be_proved() {
    let named = |text: &str| Named::read(text);
    let (id, node) = (ID.parse().unwrap(), format!("{ID}@10.0.0.1:8000"));
    let found = named(&node).unwrap();
    assert_eq!((found.url.as_str(), found.id), ("https://10.0.0.1:8000/", Some(id)));
    assert_eq!(named(&format!("{ID}@[2001:db8::1]:1")).unwrap().url.as_str(), "https://[2001:db8::1]:1/");
    assert_eq!(named(&format!("{ID}@nas.lan:1")).unwrap().url.as_str(), "https://nas.lan:1/");
    for text in ["@10.0.0.1:1", "abc@10.0.0.1:1", &ID[1..], &format!("{ID}@"), &format!("{ID}@10.0.0.1")] {
        let error = named(text).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{text}");
    }
    assert!(named("https://10.0.0.1:1").unwrap_err().to_string().contains("ID@HOST:PORT"));
}

#[test]
fn the_folders_token_is_shown_to_its_own_node_wherever_that_is_and_to_no_other() {
    let folder = folder("http://127.0.0.1:8001", "secret");
    let path = folder.path().to_str();
    let at = |node: &str| {
        let target = Target::find(&settings([Some(node), None, path], NONE)).unwrap();
        (target.token, target.owner)
    };
    let (id, other) = (ID.parse().unwrap(), NodeId::from_bytes([9; 32]));
    assert_eq!(at(&format!("{other}@127.0.0.1:8001")), (None, None));
    assert_eq!(at(&format!("{ID}@10.0.0.1:8001")), (Some("secret".into()), None));
    // Whoever answers in the clear has to prove first that it is this node.
    assert_eq!(at("http://127.0.0.1:9"), (Some("secret".into()), Some(id)));
    assert_eq!(at("http://10.0.0.1:8001"), (None, None));
    let outright = settings([Some("http://127.0.0.1:9"), Some("mine"), path], NONE);
    assert_eq!(Target::find(&outright).unwrap().owner, None);
}

#[test]
fn a_token_can_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "from-a-file\n").unwrap();
    let in_env = |token: Option<&str>| {
        let (token, path) = (token.map(OsString::from), path.clone());
        Settings::new(NodeOptions::default(), move |name| match name {
            "SWIFTSERVE_TOKEN_FILE" => Some(path.clone().into()),
            "SWIFTSERVE_TOKEN" => token.clone(),
            _ => None,
        })
    };
    assert_eq!(Target::find_token(&in_env(None)).unwrap(), "from-a-file");
    assert_eq!(Target::find_token(&in_env(Some("given"))).unwrap(), "given");
    fs::remove_file(&path).unwrap();
    let error = Target::find_token(&in_env(None)).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(!error.to_string().contains("given") && error.to_string().contains("token"), "{error}");
}
