use clap::Parser;

use super::*;

fn load(args: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
    let args =
        Args::try_parse_from([&["swiftserve-node"], args].concat()).map_err(|error| error.to_string())?;
    let lookup = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Config::load(&args, lookup).map_err(|error| error.to_string())
}

#[test]
fn without_any_setting_a_node_serves_its_own_machine() {
    let config = load(&["--data-dir", "/nonexistent"], &[]).unwrap();
    assert_eq!(config.address.to_string(), "127.0.0.1:8000");
    assert_eq!(config.bind.to_string(), "127.0.0.1:8000");
    assert_eq!((config.join, config.clients.allow_plain_http), (None, false));
}

#[test]
fn a_machine_with_an_outside_address_listens_on_all_interfaces() {
    let config = load(&["--machine-ip", "10.0.0.5"], &[]).unwrap();
    assert_eq!(config.bind.to_string(), "0.0.0.0:8000");
    let config = load(&["--machine-ip", "10.0.0.5", "--bind", "10.0.0.5"], &[]).unwrap();
    assert_eq!(config.bind.to_string(), "10.0.0.5:8000");
    let config = load(&["--machine-ip", "2001:db8::1"], &[]).unwrap();
    assert_eq!(config.bind.to_string(), "[::]:8000");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "port = 1\nmachine_ip = \"10.0.0.1\"\nquota = \"1GiB\"\n").unwrap();
    let file = file.to_str().unwrap();
    let variables = [("PORT", "2"), ("SWIFTSERVE_PORT", "3"), ("SWIFTSERVE_QUOTA", "2GiB")];
    let config = load(&["--config", file, "--quota", "3GiB"], &variables).unwrap();
    assert_eq!(config.address.to_string(), "10.0.0.1:3");
    assert_eq!(config.quota_bytes, Some(3 << 30));
    assert_eq!(load(&["--config", file], &[]).unwrap().address.port(), 1);
    assert_eq!(load(&[], &[("PORT", "2")]).unwrap().address.port(), 2);
}

#[test]
fn what_to_keep_is_said_everywhere_or_left_as_it_is() {
    assert_eq!(load(&[], &[]).unwrap().keep, None);
    assert_eq!(load(&["--keep", "none"], &[("SWIFTSERVE_KEEP", "all")]).unwrap().keep, Some(KeepRule::None));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(CONFIG_FILE), "keep = \"*.iso, images/**\"\n").unwrap();
    let kept = load(&["--data-dir", folder.path().to_str().unwrap()], &[]).unwrap().keep.unwrap();
    assert_eq!(kept.patterns().unwrap(), ["*.iso", "images/**"]);
}

#[test]
fn limits_are_read_from_every_place_and_none_takes_one_away() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "limit_up = \"1MiB/s\"\nlimit_connections = \"64\"\n").unwrap();
    let file = file.to_str().unwrap();
    let config = load(&["--config", file, "--limit-up", "none"], &[("SWIFTSERVE_LIMIT_DOWN", "8Mbit/s")]);
    let limits = config.unwrap().limits;
    assert_eq!((limits.up, limits.down.map(swift_p2p::driver::Rate::get)), (None, Some(1_000_000)));
    assert_eq!(limits.connections.map(swift_p2p::driver::ConnectionLimit::get), Some(64));
}

#[test]
fn a_switch_in_the_environment_wins_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "allow_plain_http = true\n").unwrap();
    let file = file.to_str().unwrap();
    assert!(load(&["--config", file], &[]).unwrap().clients.allow_plain_http);
    let off = [("SWIFTSERVE_ALLOW_PLAIN_HTTP", "0")];
    assert!(!load(&["--config", file], &off).unwrap().clients.allow_plain_http);
    assert!(load(&["--config", file, "--allow-plain-http"], &off).unwrap().clients.allow_plain_http);
}

#[test]
fn bad_values_say_what_and_where() {
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 20] = [
        (&["--port", "0"], &[], "--port: \"0\" is no port"),
        (&["--port", "70000"], &[], "--port: \"70000\" is no port"),
        (&[], &[("PORT", "x")], "the environment variable PORT: \"x\" is no port"),
        (&["--machine-ip", "not an ip"], &[], "--machine-ip: \"not an ip\" is neither"),
        (&["--bind", "everywhere"], &[], "--bind: invalid IP address"),
        (&["--join", "swift1abc"], &[], "--join: the ticket is damaged"),
        (&["--limit-up", "50"], &[], "--limit-up: 50 bytes per second are too few"),
        (&[], &[("SWIFTSERVE_LIMIT_CONNECTIONS", "2")], "LIMIT_CONNECTIONS: 2 connections are too few"),
        (&["--tls-cert", "a.pem"], &[], "--tls-cert: the certificate needs its key"),
        (&[], &[("SWIFTSERVE_TLS_KEY", "a.pem")], "TLS_KEY: the key needs its certificate"),
        (&["--client-host", "a.example:80"], &[], "--client-host: \"a.example:80\" is no host name"),
        (&["--client-host", "10.0.0.1"], &[], "--client-host: \"10.0.0.1\" is an address"),
        (&["--trusted-proxy", "10.0.0.0/33"], &[], "--trusted-proxy: \"10.0.0.0/33\" is no network"),
        (&["--requests-per-token", "50"], &[], "--requests-per-token: \"50\" is no rate of requests"),
        (&["--failures-per-address", "0/min"], &[], "--failures-per-address: \"0/min\" is no rate"),
        (&["--quota", "lots"], &[], "--quota: \"lots\" is no size"),
        (&["--scrub-rate", "none"], &[], "--scrub-rate: \"none\" is no rate"),
        (&["--trash-keep", "7"], &[], "--trash-keep: \"7\" is no time"),
        (&["--keep", "a["], &[], "--keep: the pattern \"a[\" cannot be used"),
        (&[], &[("AUTO_DETECT_IP", "maybe")], "AUTO_DETECT_IP: \"maybe\" is neither 1 nor 0"),
    ];
    for (args, variables, expected) in cases {
        let error = load(args, variables).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_unknown_key_of_the_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(CONFIG_FILE), "prot = 80\n").unwrap();
    let error = load(&["--data-dir", folder.path().to_str().unwrap()], &[]).unwrap_err();
    assert!(error.contains("swiftserve.toml") && error.contains("prot"), "{error}");
    let error = load(&["--config", "/nonexistent/settings.toml"], &[]).unwrap_err();
    assert!(error.contains("/nonexistent/settings.toml"), "{error}");
}

#[test]
fn what_is_said_of_clients_is_read_from_every_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    let text =
        "client_host = \"a.example, b.example\"\ntls_cert = \"c.pem\"\nrequests_per_token = \"none\"\n";
    std::fs::write(&file, text).unwrap();
    let args =
        ["--config", file.to_str().unwrap(), "--trusted-proxy", "127.0.0.1", "--trusted-proxy", "10.0.0.0/8"];
    let clients = load(&args, &[("SWIFTSERVE_TLS_KEY", "k.pem")]).unwrap().clients;
    assert_eq!(clients.host_names, ["a.example", "b.example"]);
    assert_eq!(clients.certificate, Some(CertificateFiles { chain: "c.pem".into(), key: "k.pem".into() }));
    assert_eq!(clients.trusted_proxies, ["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]);
    assert_eq!(clients.requests.per_token, None);
    assert_eq!(clients.requests.failures, Some("60/min".parse().unwrap()));
}
