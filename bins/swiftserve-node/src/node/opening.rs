//! What a node has on disk, opened. All of it blocks.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _},
};

use swift_chain::{
    DbError, Genesis, GenesisBody, LedgerDb, LedgerReader, NetworkId, NodeKey, PROTOCOL_VERSION, Replica,
    Ticket,
};
use swift_chunks::{Store, StoreOptions};
use swift_http::{Scope, TokenRecord, Tokens};
use swift_p2p::driver::{LimitSettings, Limits, bring_level, wall_clock_ms};
use tracing::{info, warn};

use super::{NodeOptions, StartError};
use crate::{
    config::{AfterRestore, Config},
    data_dir::{DataDir, DataDirError, write_file},
    rebuilding::finish_switch,
};

/// The label of the token made at the first start.
const ADMIN_LABEL: &str = "admin";
/// Names the network that the folder's content is from.
const NETWORK_FILE: &str = "network";
/// Holds limits that were set while the node ran.
const LIMITS_FILE: &str = "limits.json";
/// Longer than such a file is.
const LIMITS_LEN_MAX: u64 = 64 * 1024;

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

    /// The network that this one goes on from, as far as that is known here.
    fn origin(&self) -> Option<NetworkId> {
        match self {
            Self::Ledger(db) => origin(db.reader()),
            Self::Ticket(_) => None,
        }
    }
}

fn origin(ledger: &LedgerReader) -> Option<NetworkId> {
    ledger.genesis().body().origin.map(|origin| origin.network)
}

impl Opened {
    pub(super) fn open(options: &NodeOptions) -> Result<Self, StartError> {
        let config = &options.config;
        let data_dir = DataDir::open(&config.data_dir)?;
        let key = data_dir.key()?;
        if finish_switch(&data_dir)? {
            info!("a ledger that was made anew is in its place now");
        }
        let ledger = match (LedgerDb::open(&data_dir.file("ledger.db"))?, &config.join) {
            (Some(db), ticket) => LedgerOrTicket::Ledger(Box::new(go_on(db, ticket.as_ref())?)),
            (None, Some(ticket)) => LedgerOrTicket::Ticket(Box::new(ticket.clone())),
            // A node ran here before: a new network is not what anybody wants.
            (None, None) if content_network(&data_dir)?.is_some() => {
                return Err(DbError::Missing("all of it").into());
            }
            (None, None) => LedgerOrTicket::Ledger(Box::new(found(&data_dir, &key, options)?)),
        };
        // Before anybody is asked to let this node in: a ticket works once.
        check_content(&data_dir, ledger.network(), ledger.origin())?;
        Ok(Self { data_dir, key, ledger })
    }
}

fn go_on(db: LedgerDb, ticket: Option<&Ticket>) -> Result<LedgerDb, StartError> {
    let (ours, origin) = (db.reader().network(), origin(db.reader()));
    match ticket {
        Some(ticket) if ticket.network != ours && Some(ticket.network) != origin => {
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
    check_content(data_dir, genesis.id(), None)?;
    info!(network = %genesis.id(), "founding a network");
    Ok(LedgerDb::create(&data_dir.file("ledger.db"), &genesis)?)
}

/// Ledger, content and tokens.
pub(super) struct Stored {
    pub(super) replica: Replica,
    pub(super) store: Store,
    pub(super) tokens: Tokens,
    pub(super) limits: Limits,
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
                let db = LedgerDb::open(&data_dir.file("ledger.db"))?.ok_or(StartError::Interrupted)?;
                if content_network(data_dir)?.is_some() {
                    // This node was a member before, and may have signed what it does not know of.
                    db.mark_restored()?;
                }
                db
            }
        };
        hold(&db, config.after_restore)?;
        let mut options = StoreOptions::in_dir(data_dir.path());
        options.quota_bytes = config.quota_bytes;
        options.trash_keep = config.trash_keep;
        if let Some(bytes) = config.free_floor_bytes {
            options.free_floor_bytes = bytes;
        }
        let store = Store::open(options)?;
        if let Some(rule) = &config.keep {
            store.set_keep_rule(rule.clone(), wall_clock_ms())?;
        }
        follow_network(data_dir, &store, db.reader())?;
        let replica = Replica::new(key.clone(), db)?;
        // Files that somebody changed or took away while no node ran.
        store.retry_visible(wall_clock_ms())?;
        let tokens = Tokens::open(&data_dir.file("tokens.db"))?;
        ensure_admin_token(data_dir, &tokens)?;
        let limits = open_limits(data_dir, config.limits)?;
        Ok(Self { replica, store, tokens, limits })
    }
}

/// A node whose ledger is not the one it last wrote may have made blocks that it does not know of.
fn hold(ledger: &LedgerDb, after_restore: AfterRestore) -> Result<(), StartError> {
    if !ledger.reader().is_restored()? {
        return Ok(());
    }
    match after_restore {
        AfterRestore::Wait => warn!(
            members = ledger.reader().counts()?.members,
            "this folder was restored from a backup, or its ledger made anew: the node makes no blocks before it has heard from every member; \
             if some are gone for good, see --after-restore"
        ),
        AfterRestore::Proceed => {
            warn!("this node may have signed what it does not know of, and goes on as it was told to");
            ledger.clear_restored()?;
        }
    }
    Ok(())
}

/// Whether the content in this folder is of this network, of the one it goes on from, or of none yet: the store knows
/// heights, and those of another network mean nothing here.
fn check_content(
    data_dir: &DataDir,
    network: NetworkId,
    origin: Option<NetworkId>,
) -> Result<(), StartError> {
    match content_network(data_dir)? {
        Some(Ok(theirs)) if theirs == network || Some(theirs) == origin => Ok(()),
        Some(theirs) => {
            let theirs = theirs.map_or_else(|text| text, |network| network.to_string());
            Err(StartError::ForeignContent { ours: network, theirs })
        }
        None => Ok(()),
    }
}

/// The network that the folder's content is from, if it says so, or what it says.
pub(crate) fn content_network(data_dir: &DataDir) -> Result<Option<Result<NetworkId, String>>, DataDirError> {
    let path = data_dir.file(NETWORK_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let text = text.trim();
            Ok(Some(text.parse().map_err(|_| text.chars().take(80).collect())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DataDirError::Io { doing: "read", path, source }),
    }
}

/// Lets the store follow the network of this ledger. If that was founded anew, the store's heights are those of the
/// network before, and what it began with is in no block.
pub(crate) fn follow_network(
    data_dir: &DataDir,
    store: &Store,
    ledger: &LedgerReader,
) -> Result<(), StartError> {
    let (network, origin) = (ledger.network(), origin(ledger));
    check_content(data_dir, network, origin)?;
    let known = content_network(data_dir)?;
    if known != Some(Ok(network)) {
        if known.is_some() || origin.is_some() {
            // In this order: a crash in between forgets once more.
            store.forget_height()?;
        }
        data_dir.write(NETWORK_FILE, format!("{network}\n").as_bytes())?;
    }
    if origin.is_some() && store.applied_height()?.is_none() {
        info!("bringing the files here level with what the network began with");
        bring_level(store, ledger)?;
    }
    Ok(())
}

/// The limits of this start, and over them those that were set while the node ran before.
fn open_limits(data_dir: &DataDir, configured: LimitSettings) -> Result<Limits, StartError> {
    let path = data_dir.file(LIMITS_FILE);
    let unreadable = |source| DataDirError::Io { doing: "read", path: path.clone(), source };
    let kept = match File::open(&path) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(LIMITS_LEN_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
            Some(bytes)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(error).into()),
    };
    let folder = data_dir.path().to_owned();
    let keep = move |bytes: &[u8]| write_file(&folder, LIMITS_FILE, bytes).map_err(io::Error::other);
    Limits::new(configured, kept.as_deref(), Box::new(keep))
        .map_err(|error| StartError::Limits { path, error })
}

/// The first start makes a token that may do everything, and leaves it where only the owner of the folder finds it.
fn ensure_admin_token(data_dir: &DataDir, tokens: &Tokens) -> Result<(), StartError> {
    let is_known = std::fs::read_to_string(data_dir.file("admin-token"))
        .is_ok_and(|text| tokens.find(text.trim(), wall_clock_ms()).is_some());
    if is_known {
        return Ok(());
    }
    // Lost or half made: nobody can hold its secret but through that file.
    let Ok(label) = ADMIN_LABEL.to_owned().try_into() else { unreachable!("a constant that is a label") };
    let scopes = BTreeSet::from([Scope::Admin]);
    let record = TokenRecord { label, scopes, created_ms: wall_clock_ms(), expires_ms: None };
    let token = tokens.replace(record, random()?)?;
    Ok(data_dir.write("admin-token", format!("{token}\n").as_bytes())?)
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(StartError::Random)?;
    Ok(bytes)
}
