//! Settings from flags, environment and a file, in this order of precedence.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Deserialize;
use swift_chain::{Address, Ticket};

const DEFAULT_DATA_DIR: &str = "swiftserve-data";
const DEFAULT_PORT: u16 = 8000;
const DEFAULT_MACHINE_IP: &str = "127.0.0.1";
/// The settings file that is read without being asked for, in the data folder.
const CONFIG_FILE: &str = "swiftserve.toml";

/// A node of a SwiftServe network: one binary, one port, one data folder.
///
/// Without --join it founds a network at its first start. Every flag can also be given as SWIFTSERVE_FLAG in the
/// environment (--data-dir as SWIFTSERVE_DATA_DIR) or as a line of a TOML file (data_dir = "...").
#[derive(Clone, Debug, Default, clap::Parser)]
#[command(name = "swiftserve-node", version, about)]
pub struct Args {
    /// Folder for key, ledger and files [default: swiftserve-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Settings file [default: swiftserve.toml in the data folder, if there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// Port for nodes and clients [env: PORT] [default: 8000]
    #[arg(long)]
    pub port: Option<String>,
    /// Address at which other nodes reach this machine [env: MACHINE_IP] [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    pub machine_ip: Option<String>,
    /// Find the machine's address by itself [env: AUTO_DETECT_IP=1]
    #[arg(long)]
    pub auto_detect_ip: bool,
    /// Address to listen on [default: loopback when the machine IP is loopback, else all interfaces]
    #[arg(long, value_name = "IP")]
    pub bind: Option<String>,
    /// Join a network by a ticket of `swiftctl invite`
    #[arg(long, value_name = "TICKET")]
    pub join: Option<String>,
    /// Take tokens over plain HTTP also from other machines
    #[arg(long)]
    pub allow_plain_http: bool,
    /// Most bytes of content to hold, for example 200GiB
    #[arg(long, value_name = "SIZE")]
    pub quota: Option<String>,
    /// Free bytes to leave on the disk, for example 1GiB
    #[arg(long, value_name = "SIZE")]
    pub free_floor: Option<String>,
    /// What to log: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
}

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
    /// What to log.
    pub log: tracing::level_filters::LevelFilter,
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
            log: tracing::level_filters::LevelFilter::INFO,
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
        let auto_detect = args.auto_detect_ip
            || layers.switch(&["SWIFTSERVE_AUTO_DETECT_IP", "AUTO_DETECT_IP"])?
            || settings.and_then(|settings| settings.auto_detect_ip).unwrap_or(false);
        let machine_ip = layers.text(
            "machine-ip",
            args.machine_ip.as_deref(),
            &["SWIFTSERVE_MACHINE_IP", "MACHINE_IP"],
            in_file(|file| file.machine_ip.as_deref()),
        );
        let (host, host_from) = match machine_ip {
            Some(given) => given,
            None if auto_detect => (detect_ip()?.to_string(), ConfigSource::Default),
            None => (DEFAULT_MACHINE_IP.to_owned(), ConfigSource::Default),
        };
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
        let log = layers.parsed(
            "log",
            args.log.as_deref(),
            &["SWIFTSERVE_LOG"],
            in_file(|file| file.log.as_deref()),
        )?;
        let allow_plain_http = args.allow_plain_http
            || layers.switch(&["SWIFTSERVE_ALLOW_PLAIN_HTTP"])?
            || settings.and_then(|settings| settings.allow_plain_http).unwrap_or(false);
        Ok(Self {
            data_dir,
            address,
            bind,
            join,
            allow_plain_http,
            quota_bytes: quota.map(|Size(bytes)| bytes),
            free_floor_bytes: free_floor.map(|Size(bytes)| bytes),
            log: log.unwrap_or(tracing::level_filters::LevelFilter::INFO),
        })
    }
}

/// Finds a setting in flags, environment and file.
struct Layers<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    file: Option<&'a Path>,
}

impl Layers<'_> {
    fn text(
        &self,
        name: &'static str,
        flag: Option<&str>,
        variables: &[&'static str],
        in_file: Option<&str>,
    ) -> Option<(String, ConfigSource)> {
        if let Some(text) = flag {
            return Some((text.to_owned(), ConfigSource::Flag(name)));
        }
        for variable in variables {
            // An empty variable is how scripts leave one out.
            if let Some(text) = (self.environment)(variable).filter(|text| !text.is_empty()) {
                return Some((text, ConfigSource::Environment(variable)));
            }
        }
        let path = self.file.unwrap_or(Path::new(CONFIG_FILE)).to_owned();
        in_file.map(|text| (text.to_owned(), ConfigSource::File(path, name)))
    }

    fn parsed<T: FromStr<Err: fmt::Display>>(
        &self,
        name: &'static str,
        flag: Option<&str>,
        variables: &[&'static str],
        in_file: Option<&str>,
    ) -> Result<Option<T>, ConfigError> {
        let found = self.text(name, flag, variables, in_file);
        found.map(|(text, from)| text.parse().map_err(bad(from))).transpose()
    }

    fn switch(&self, variables: &[&'static str]) -> Result<bool, ConfigError> {
        let Some((text, from)) = self.text("", None, variables, None) else { return Ok(false) };
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(bad(from)(format!("{text:?} is neither 1 nor 0"))),
        }
    }
}

fn bad<E: fmt::Display>(from: ConfigSource) -> impl FnOnce(E) -> ConfigError {
    move |error| ConfigError::Value { from, reason: error.to_string() }
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
fn detect_ip() -> Result<IpAddr, ConfigError> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(ConfigError::NoAddress)?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).map_err(ConfigError::NoAddress)?;
    Ok(socket.local_addr().map_err(ConfigError::NoAddress)?.ip())
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
        Err(error) => Err(ConfigError::File { path, reason: error.to_string().trim_end().to_owned() }),
    }
}

/// A number of bytes as people write it: `10GiB`, `500MB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size(u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor: Option<u64> = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => Some(1),
            "kib" => Some(1 << 10),
            "mib" => Some(1 << 20),
            "gib" => Some(1 << 30),
            "tib" => Some(1 << 40),
            "kb" => Some(1_000),
            "mb" => Some(1_000_000),
            "gb" => Some(1_000_000_000),
            "tb" => Some(1_000_000_000_000),
            _ => None,
        };
        let size =
            number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        size.map(Self).ok_or_else(|| format!("{text:?} is no size: write for example 500MB or 10GiB"))
    }
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
    fn bad_values_say_what_and_where() {
        let cases: [(&[&str], &[(&str, &str)], &str); 8] = [
            (&["--port", "0"], &[], "--port: \"0\" is no port"),
            (&["--port", "70000"], &[], "--port: \"70000\" is no port"),
            (&[], &[("PORT", "x")], "the environment variable PORT: \"x\" is no port"),
            (&["--machine-ip", "not an ip"], &[], "--machine-ip: \"not an ip\" is neither"),
            (&["--bind", "everywhere"], &[], "--bind: invalid IP address"),
            (&["--join", "swift1abc"], &[], "--join: the ticket is damaged"),
            (&["--quota", "lots"], &[], "--quota: \"lots\" is no size"),
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
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [("4096", 4096), ("10 GiB", 10 << 30), ("500mb", 500_000_000), ("1TiB", 1 << 40)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)));
        }
        for text in ["", "GiB", "-1", "1.5GiB", "99999999999TiB"] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
    }
}
