//! The command line.

use super::AfterRestore;

/// A node of a SwiftServe network: one binary, one port, one data folder.
///
/// Without --join it founds a network at its first start. Every flag but --after-restore can also be given as
/// SWIFTSERVE_FLAG in the environment (--data-dir as SWIFTSERVE_DATA_DIR), and every one but that and --config as a line
/// of a TOML file (data_dir = "...").
#[derive(Clone, Debug, Default, clap::Parser)]
#[command(name = "swiftserve-node", version, about)]
#[group(skip)]
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
    /// A name under which clients call this node, besides its addresses; may be given again
    #[arg(long, value_name = "NAME")]
    pub client_host: Vec<String>,
    /// Certificate chain for browsers, in PEM; read again on SIGHUP
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// Private key of that certificate, in PEM: P-256 or RSA
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// A proxy, or a network of them as 10.0.0.0/8, whose X-Forwarded-For and -Proto are believed; may be given again
    #[arg(long, value_name = "CIDR")]
    pub trusted_proxy: Vec<String>,
    /// Most requests with one token, for example 2000/s; `none` is no limit [default: 2000/s]
    #[arg(long, value_name = "RATE")]
    pub requests_per_token: Option<String>,
    /// Most requests from one address without a valid token [default: 50/s]
    #[arg(long, value_name = "RATE")]
    pub requests_per_address: Option<String>,
    /// Most wrong tokens from one address [default: 60/min]
    #[arg(long, value_name = "RATE")]
    pub failures_per_address: Option<String>,
    /// Most bytes of content to hold, for example 200GiB
    #[arg(long, value_name = "SIZE")]
    pub quota: Option<String>,
    /// Free bytes to leave on the disk, for example 1GiB
    #[arg(long, value_name = "SIZE")]
    pub free_floor: Option<String>,
    /// How long the trash keeps what was removed, for example 12h or 30d [default: 7d]
    #[arg(long, value_name = "TIME")]
    pub trash_keep: Option<String>,
    /// How fast stored content is read again to see whether it is sound, for example 50MiB/s; `off` is not at all
    /// [default: 20MiB/s]
    #[arg(long, value_name = "RATE")]
    pub scrub_rate: Option<String>,
    /// How long after its last verification that is [default: 30d]
    #[arg(long, value_name = "TIME")]
    pub scrub_interval: Option<String>,
    /// What to keep of the network's files: all, none, or patterns of names with commas between them, for example
    /// '*.iso,images/**'; `swiftctl keep` changes it, and this sets it again at every start [default: as it was set
    /// last, at first all]
    #[arg(long, value_name = "WHAT")]
    pub keep: Option<String>,
    /// Most that members are sent, for example 50MiB/s or 400Mbit/s; `none` is no limit [default: none]
    #[arg(long, value_name = "RATE")]
    pub limit_up: Option<String>,
    /// Most that members send [default: none]
    #[arg(long, value_name = "RATE")]
    pub limit_down: Option<String>,
    /// Most connections with members, at least 8 [default: none]
    #[arg(long, value_name = "N")]
    pub limit_connections: Option<String>,
    /// What to log: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
    /// If the folder came from a backup: wait until every member was heard, or proceed at once (only if nobody can have
    /// a block that the backup lacks, else the network forks); a flag only [default: wait]
    #[arg(long, value_name = "WHAT")]
    pub after_restore: Option<AfterRestore>,
}
