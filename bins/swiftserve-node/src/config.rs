//! Settings from flags, environment and a file, in this order of precedence.

mod args;
mod clients;
mod layers;
mod limits;
mod period;
mod place;
mod scrub;
mod size;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use swift_chain::{Address, Ticket};
use swift_chunks::{KeepRule, TRASH_KEEP};
use swift_p2p::driver::{LimitSettings, ScrubSettings};

pub use args::Args;
pub use clients::{CertificateFiles, ClientSettings};
use layers::{Layers, bad};
use period::Period;
use place::{default_bind, host, parse_port};
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
    /// Who may call how.
    pub clients: ClientSettings,
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
    client_host: Option<String>,
    tls_cert: Option<String>,
    tls_key: Option<String>,
    trusted_proxy: Option<String>,
    requests_per_token: Option<String>,
    requests_per_address: Option<String>,
    failures_per_address: Option<String>,
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
            clients: ClientSettings::default(),
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

    /// Reads a settings file's text and drops what it says.
    #[doc(hidden)]
    pub fn check_text(text: &str) -> Result<(), String> {
        toml::from_str::<FileSettings>(text).map(drop).map_err(|error| one_line(&error, text))
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
        let limits = limits::settings(args, &layers, settings)?;
        let log = layers.parsed(
            "log",
            args.log.as_deref(),
            &["SWIFTSERVE_LOG"],
            in_file(|file| file.log.as_deref()),
        )?;
        Ok(Self {
            data_dir,
            address,
            bind,
            join,
            clients: clients::settings(args, &layers, settings)?,
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
mod tests;
