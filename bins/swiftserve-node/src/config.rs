//! Settings from flags, environment and a file, in this order of precedence.

mod args;
mod layers;
mod period;
mod scrub;
mod size;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use swift_chain::{Address, Ticket};
use swift_chunks::{KeepRule, TRASH_KEEP};
use swift_p2p::driver::{ConnectionsAllowed, LimitSettings, RateLimit, ScrubSettings};

pub use args::Args;
use layers::{Layers, bad};
use period::Period;
use size::Size;

const DEFAULT_DATA_DIR: &str = "swiftserve-data";
const DEFAULT_PORT: u16 = 8000;
const DEFAULT_MACHINE_IP: &str = "127.0.0.1";
/// The settings file that is read without being asked for, in the data folder.
const CONFIG_FILE: &str = "swiftserve.toml";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// A flag.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// A line of a settings file.
    File(PathBuf, &'static str),
    /// Nowhere: the default.
    Default,
}

impl fmt::Display for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::File(path, name) => write!(f, "{name} in {}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// A setting that cannot be used. Nothing was started or written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value is wrong.
    #[error("{from}: {reason}")]
    Value {
        /// Where it stands.
        from: ConfigSource,
        /// What is wrong with it.
        reason: String,
    },
    /// The settings file cannot be read, is no TOML, or has a key that does not exist.
    #[error("the settings file {}: {reason}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The machine's address was to be found and was not.
    #[error("no address of this machine could be found ({0}): give one with --machine-ip")]
    NoAddress(std::io::Error),
}

/// What a node that was restored from a backup does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AfterRestore {
    /// Makes no blocks before it has heard from every member, and none has a block that it lacks.
    #[default]
    Wait,
    /// Goes on at once, on the operator's word that nobody has such a block. If that is wrong, the network forks.
    Proceed,
}

/// Settings of a node, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Folder for key, ledger and files.
    pub data_dir: PathBuf,
    /// Where other nodes reach this one.
    pub address: Address,
    /// Where to listen.
    pub bind: SocketAddr,
    /// The network to join.
    pub join: Option<Ticket>,
    /// Take tokens over plain HTTP also from other machines.
    pub allow_plain_http: bool,
    /// Most bytes of content to hold.
    pub quota_bytes: Option<u64>,
    /// Free bytes to leave on the disk.
    pub free_floor_bytes: Option<u64>,
    /// How long the trash keeps content.
    pub trash_keep: Duration,
    /// How this node reads again what it stores.
    pub scrub: ScrubSettings,
    /// What to keep of the network's files; none leaves it as it was set last.
    pub keep: Option<KeepRule>,
    /// Limits on what moves between this node and others, where `swiftctl limit` has not set others since.
    pub limits: LimitSettings,
    /// What to log.
    pub log: tracing::level_filters::LevelFilter,
    /// For this start only: what to do if the folder came from a backup.
    pub after_restore: AfterRestore,
}

/// The settings file. A key that is not here is an error that names it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    data_dir: Option<String>,
    port: Option<u16>,
    machine_ip: Option<String>,
    auto_detect_ip: Option<bool>,
    bind: Option<String>,
    join: Option<String>,
    allow_plain_http: Option<bool>,
    quota: Option<String>,
    free_floor: Option<String>,
    trash_keep: Option<String>,
    scrub_rate: Option<String>,
    scrub_interval: Option<String>,
    keep: Option<String>,
    limit_up: Option<String>,
    limit_down: Option<String>,
    limit_connections: Option<String>,
    log: Option<String>,
}

impl Config {
    /// A data folder and an address, everything else as by default.
    pub fn new(data_dir: impl Into<PathBuf>, address: Address) -> Self {
        Self {
            data_dir: data_dir.into(),
            bind: SocketAddr::new(default_bind(&address), address.port()),
            address,
            join: None,
            allow_plain_http: false,
            quota_bytes: None,
            free_floor_bytes: None,
            trash_keep: TRASH_KEEP,
            scrub: ScrubSettings::default(),
            keep: None,
            limits: LimitSettings::default(),
            log: tracing::level_filters::LevelFilter::INFO,
            after_restore: AfterRestore::default(),
        }
    }

    /// Puts settings together. `environment` looks a variable up.
    pub fn load(args: &Args, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let layers = Layers { environment: &environment, file: None };
        let data_dir = layers.text("data-dir", args.data_dir.as_deref(), &["SWIFTSERVE_DATA_DIR"], None);
        let config = layers.text("config", args.config.as_deref(), &["SWIFTSERVE_CONFIG"], None);
        let found_dir = data_dir.as_ref().map_or(DEFAULT_DATA_DIR, |(text, _)| text);
        let file = read_file(config.map(|(path, _)| PathBuf::from(path)), Path::new(found_dir))?;
        let settings = file.as_ref().map(|(_, settings)| settings);
        let layers =
            Layers { environment: &environment, file: file.as_ref().map(|(path, _)| path.as_path()) };

        let data_dir = match (data_dir, settings.and_then(|settings| settings.data_dir.as_deref())) {
            (Some((text, _)), _) => PathBuf::from(text),
            (None, Some(text)) => PathBuf::from(text),
            (None, None) => PathBuf::from(DEFAULT_DATA_DIR),
        };
        let in_file = |pick: fn(&FileSettings) -> Option<&str>| settings.and_then(pick);
        let port_in_file = settings.and_then(|settings| settings.port).map(|port| port.to_string());
        let port =
            layers.text("port", args.port.as_deref(), &["SWIFTSERVE_PORT", "PORT"], port_in_file.as_deref());
        let port = port.map_or(Ok(DEFAULT_PORT), |(text, from)| parse_port(&text, from))?;
        let (host, host_from) = host(args, &layers, settings)?;
        let address = Address::new(&host, port).map_err(bad(host_from))?;
        let bind = layers.parsed::<IpAddr>(
            "bind",
            args.bind.as_deref(),
            &["SWIFTSERVE_BIND"],
            in_file(|file| file.bind.as_deref()),
        )?;
        let bind = SocketAddr::new(bind.unwrap_or_else(|| default_bind(&address)), port);
        let join = layers.parsed::<Ticket>(
            "join",
            args.join.as_deref(),
            &["SWIFTSERVE_JOIN"],
            in_file(|file| file.join.as_deref()),
        )?;
        let quota = layers.parsed::<Size>(
            "quota",
            args.quota.as_deref(),
            &["SWIFTSERVE_QUOTA"],
            in_file(|file| file.quota.as_deref()),
        )?;
        let free_floor = layers.parsed::<Size>(
            "free-floor",
            args.free_floor.as_deref(),
            &["SWIFTSERVE_FREE_FLOOR"],
            in_file(|file| file.free_floor.as_deref()),
        )?;
        let trash_keep = layers.parsed::<Period>(
            "trash-keep",
            args.trash_keep.as_deref(),
            &["SWIFTSERVE_TRASH_KEEP"],
            in_file(|file| file.trash_keep.as_deref()),
        )?;
        let keep = layers.parsed::<KeepRule>(
            "keep",
            args.keep.as_deref(),
            &["SWIFTSERVE_KEEP"],
            in_file(|file| file.keep.as_deref()),
        )?;
        let limits = limits(args, &layers, settings)?;
        let log = layers.parsed(
            "log",
            args.log.as_deref(),
            &["SWIFTSERVE_LOG"],
            in_file(|file| file.log.as_deref()),
        )?;
        let allow_plain_http = match (args.allow_plain_http, layers.switch(&["SWIFTSERVE_ALLOW_PLAIN_HTTP"])?)
        {
            (true, _) => true,
            (false, Some(chosen)) => chosen,
            (false, None) => settings.and_then(|settings| settings.allow_plain_http).unwrap_or(false),
        };
        Ok(Self {
            data_dir,
            address,
            bind,
            join,
            allow_plain_http,
            quota_bytes: quota.map(|Size(bytes)| bytes),
            free_floor_bytes: free_floor.map(|Size(bytes)| bytes),
            trash_keep: trash_keep.map_or(TRASH_KEEP, |Period(period)| period),
            scrub: scrub::settings(args, &layers, settings)?,
            keep,
            limits,
            log: log.unwrap_or(tracing::level_filters::LevelFilter::INFO),
            after_restore: args.after_restore.unwrap_or_default(),
        })
    }
}

fn limits(
    args: &Args,
    layers: &Layers<'_>,
    settings: Option<&FileSettings>,
) -> Result<LimitSettings, ConfigError> {
    let in_file = |pick: fn(&FileSettings) -> Option<&str>| settings.and_then(pick);
    let up = layers.parsed::<RateLimit>(
        "limit-up",
        args.limit_up.as_deref(),
        &["SWIFTSERVE_LIMIT_UP"],
        in_file(|file| file.limit_up.as_deref()),
    )?;
    let down = layers.parsed::<RateLimit>(
        "limit-down",
        args.limit_down.as_deref(),
        &["SWIFTSERVE_LIMIT_DOWN"],
        in_file(|file| file.limit_down.as_deref()),
    )?;
    let connections = layers.parsed::<ConnectionsAllowed>(
        "limit-connections",
        args.limit_connections.as_deref(),
        &["SWIFTSERVE_LIMIT_CONNECTIONS"],
        in_file(|file| file.limit_connections.as_deref()),
    )?;
    Ok(LimitSettings {
        up: up.and_then(|RateLimit(limit)| limit),
        down: down.and_then(|RateLimit(limit)| limit),
        connections: connections.and_then(|ConnectionsAllowed(limit)| limit),
    })
}

/// Where others reach this machine: the first place that says so, as an address or as the wish to find it.
fn host(
    args: &Args,
    layers: &Layers<'_>,
    settings: Option<&FileSettings>,
) -> Result<(String, ConfigSource), ConfigError> {
    let variables = ["SWIFTSERVE_MACHINE_IP", "MACHINE_IP"];
    if let Some(ip) = &args.machine_ip {
        return Ok((ip.clone(), ConfigSource::Flag("machine-ip")));
    }
    if args.auto_detect_ip {
        return detect_ip();
    }
    if let Some(found) = layers.text("machine-ip", None, &variables, None) {
        return Ok(found);
    }
    let in_file = settings.and_then(|settings| settings.machine_ip.as_deref());
    match layers.switch(&["SWIFTSERVE_AUTO_DETECT_IP", "AUTO_DETECT_IP"])? {
        Some(true) => return detect_ip(),
        Some(false) => {}
        None if in_file.is_none() && settings.and_then(|settings| settings.auto_detect_ip) == Some(true) => {
            return detect_ip();
        }
        None => {}
    }
    let found = layers.text("machine_ip", None, &[], in_file);
    Ok(found.unwrap_or_else(|| (DEFAULT_MACHINE_IP.to_owned(), ConfigSource::Default)))
}

fn parse_port(text: &str, from: ConfigSource) -> Result<u16, ConfigError> {
    match text.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(bad(from)(format!("{text:?} is no port: a number from 1 to 65535"))),
    }
}

fn default_bind(address: &Address) -> IpAddr {
    match (address.is_loopback(), address.ip()) {
        (true, Some(ip)) => ip,
        (true, None) => Ipv4Addr::LOCALHOST.into(),
        (false, Some(IpAddr::V6(_))) => Ipv6Addr::UNSPECIFIED.into(),
        (false, _) => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// The address from which this machine would send to others. Connecting a UDP socket sends nothing; the target is an
/// address reserved for documentation (RFC 5737).
fn detect_ip() -> Result<(String, ConfigSource), ConfigError> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(ConfigError::NoAddress)?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).map_err(ConfigError::NoAddress)?;
    let found = socket.local_addr().map_err(ConfigError::NoAddress)?.ip();
    Ok((found.to_string(), ConfigSource::Default))
}

fn read_file(
    named: Option<PathBuf>,
    data_dir: &Path,
) -> Result<Option<(PathBuf, FileSettings)>, ConfigError> {
    let is_named = named.is_some();
    let path = named.unwrap_or_else(|| data_dir.join(CONFIG_FILE));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if !is_named && error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ConfigError::File { path, reason: error.to_string() }),
    };
    match toml::from_str(&text) {
        Ok(settings) => Ok(Some((path, settings))),
        Err(error) => Err(ConfigError::File { path, reason: one_line(&error, &text) }),
    }
}

/// What is wrong with a settings file, and in which line, without the drawing.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
    line.unwrap_or_default() + &error.message().replace('\n', " ")
}

#[cfg(test)]
mod tests {
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
        assert_eq!((config.join, config.allow_plain_http), (None, false));
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
        assert_eq!(
            load(&["--keep", "none"], &[("SWIFTSERVE_KEEP", "all")]).unwrap().keep,
            Some(KeepRule::None)
        );
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
        assert!(load(&["--config", file], &[]).unwrap().allow_plain_http);
        let off = [("SWIFTSERVE_ALLOW_PLAIN_HTTP", "0")];
        assert!(!load(&["--config", file], &off).unwrap().allow_plain_http);
        assert!(load(&["--config", file, "--allow-plain-http"], &off).unwrap().allow_plain_http);
    }

    #[test]
    fn bad_values_say_what_and_where() {
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
        let cases: [Case<'_>; 13] = [
            (&["--port", "0"], &[], "--port: \"0\" is no port"),
            (&["--port", "70000"], &[], "--port: \"70000\" is no port"),
            (&[], &[("PORT", "x")], "the environment variable PORT: \"x\" is no port"),
            (&["--machine-ip", "not an ip"], &[], "--machine-ip: \"not an ip\" is neither"),
            (&["--bind", "everywhere"], &[], "--bind: invalid IP address"),
            (&["--join", "swift1abc"], &[], "--join: the ticket is damaged"),
            (&["--limit-up", "50"], &[], "--limit-up: 50 bytes per second are too few"),
            (&[], &[("SWIFTSERVE_LIMIT_CONNECTIONS", "2")], "LIMIT_CONNECTIONS: 2 connections are too few"),
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
}
