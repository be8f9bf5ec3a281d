//! What a node has on disk, opened. All of it blocks.

use std::{collections::BTreeSet, io};

use swift_chain::{Genesis, GenesisBody, LedgerDb, NetworkId, NodeKey, PROTOCOL_VERSION, Replica, Ticket};
use swift_chunks::{Store, StoreOptions};
use swift_http::{Scope, TokenRecord, Tokens};
use swift_p2p::driver::wall_clock_ms;
use tracing::info;

use super::{NodeOptions, StartError};
use crate::{
    config::Config,
    data_dir::{DataDir, DataDirError},
};

/// The label of the token made at the first start.
const ADMIN_LABEL: &str = "admin";
/// Names the network that the folder's content is from.
const NETWORK_FILE: &str = "network";

/// The folder and whose it is.
pub(super) struct Opened {
    pub(super) data_dir: DataDir,
    pub(super) key: NodeKey,
    pub(super) ledger: LedgerOrTicket,
}

/// A ledger, or the permission to get one.
pub(super) enum LedgerOrTicket {
    Ledger(Box<LedgerDb>),
    Ticket(Box<Ticket>),
}

impl LedgerOrTicket {
    pub(super) fn network(&self) -> NetworkId {
        match self {
            Self::Ledger(db) => db.reader().network(),
            Self::Ticket(ticket) => ticket.network,
        }
    }
}

impl Opened {
    pub(super) fn open(options: &NodeOptions) -> Result<Self, StartError> {
        let config = &options.config;
        let data_dir = DataDir::open(&config.data_dir)?;
        let key = data_dir.key()?;
        let ledger = match (LedgerDb::open(&data_dir.file("ledger.db"))?, &config.join) {
            (Some(db), ticket) => LedgerOrTicket::Ledger(Box::new(go_on(db, ticket.as_ref())?)),
            (None, Some(ticket)) => LedgerOrTicket::Ticket(Box::new(ticket.clone())),
            (None, None) => LedgerOrTicket::Ledger(Box::new(found(&data_dir, &key, options)?)),
        };
        // Before anybody is asked to let this node in: a ticket works once.
        check_content(&data_dir, ledger.network())?;
        Ok(Self { data_dir, key, ledger })
    }
}

fn go_on(db: LedgerDb, ticket: Option<&Ticket>) -> Result<LedgerDb, StartError> {
    let ours = db.reader().network();
    match ticket {
        Some(ticket) if ticket.network != ours => {
            Err(StartError::OtherNetwork { ours, theirs: ticket.network })
        }
        Some(_) => {
            info!("this folder belongs to the ticket's network already; the ticket is not needed");
            Ok(db)
        }
        None => Ok(db),
    }
}

fn found(data_dir: &DataDir, key: &NodeKey, options: &NodeOptions) -> Result<LedgerDb, StartError> {
    let body = GenesisBody {
        protocol_version: PROTOCOL_VERSION,
        nonce: random()?,
        time_ms: wall_clock_ms(),
        founder: key.id(),
        address: options.config.address.clone(),
        params: options.params,
        origin: None,
    };
    let genesis = Genesis::sign(key, body);
    check_content(data_dir, genesis.id())?;
    info!(network = %genesis.id(), "founding a network");
    Ok(LedgerDb::create(&data_dir.file("ledger.db"), &genesis)?)
}

/// Ledger, content and tokens.
pub(super) struct Stored {
    pub(super) replica: Replica,
    pub(super) store: Store,
    pub(super) tokens: Tokens,
}

impl Stored {
    /// Opens what the folder holds by now: joining has put a ledger there.
    pub(super) fn open(
        data_dir: &DataDir,
        key: &NodeKey,
        ledger: LedgerOrTicket,
        config: &Config,
    ) -> Result<Self, StartError> {
        let db = match ledger {
            LedgerOrTicket::Ledger(db) => *db,
            LedgerOrTicket::Ticket(_) => {
                LedgerDb::open(&data_dir.file("ledger.db"))?.ok_or(StartError::Interrupted)?
            }
        };
        let replica = Replica::new(key.clone(), db)?;
        let mut options = StoreOptions::in_dir(data_dir.path());
        options.quota_bytes = config.quota_bytes;
        if let Some(bytes) = config.free_floor_bytes {
            options.free_floor_bytes = bytes;
        }
        let network = replica.reader().network();
        data_dir.write(NETWORK_FILE, format!("{network}\n").as_bytes())?;
        let store = Store::open(options)?;
        // Files that somebody changed or took away while no node ran.
        store.retry_visible(wall_clock_ms())?;
        let tokens = Tokens::open(&data_dir.file("tokens.db"))?;
        ensure_admin_token(data_dir, &tokens)?;
        Ok(Self { replica, store, tokens })
    }
}

/// Whether the content in this folder is of this network, or of none yet: the store knows heights, and those of another
/// network mean nothing here.
fn check_content(data_dir: &DataDir, network: NetworkId) -> Result<(), StartError> {
    match std::fs::read_to_string(data_dir.file(NETWORK_FILE)) {
        Ok(text) if text.trim().parse() == Ok(network) => Ok(()),
        Ok(text) => {
            let theirs = text.trim().chars().take(80).collect();
            Err(StartError::ForeignContent { ours: network, theirs })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => {
            let path = data_dir.file(NETWORK_FILE);
            Err(DataDirError::Io { doing: "read", path, source }.into())
        }
    }
}

/// The first start makes a token that may do everything, and leaves it where only the owner of the folder finds it.
fn ensure_admin_token(data_dir: &DataDir, tokens: &Tokens) -> Result<(), StartError> {
    let is_known = std::fs::read_to_string(data_dir.file("admin-token"))
        .is_ok_and(|text| tokens.find(text.trim(), wall_clock_ms()).is_some());
    if is_known {
        return Ok(());
    }
    // Lost or half made: nobody can hold its secret but through that file.
    tokens.revoke(ADMIN_LABEL)?;
    let Ok(label) = ADMIN_LABEL.to_owned().try_into() else { unreachable!("a constant that is a label") };
    let scopes = BTreeSet::from([Scope::Admin]);
    let record = TokenRecord { label, scopes, created_ms: wall_clock_ms(), expires_ms: None };
    let token = tokens.create(record, random()?)?;
    Ok(data_dir.write("admin-token", format!("{token}\n").as_bytes())?)
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(StartError::Random)?;
    Ok(bytes)
}
