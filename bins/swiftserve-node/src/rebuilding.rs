//! Making the ledger of a stopped node anew, after its file was damaged.
//!
//! Blocks come from the damaged file as far as they prove right, and from other members. The file is kept under another
//! name, whatever happens.

mod switch;

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use swift_chain::{
    Address, DbError, LedgerReader, NetworkId, NodeId, NodeKey,
    rebuilding::{TakenAlong, Wreck, take_along},
};
use swift_chunks::{Store, StoreOptions};
use swift_p2p::driver::{
    Attempts, RebuildError as FetchError, RebuildSetup, RebuiltLedger, bring_level, rebuild_ledger,
    wall_clock_ms,
};

pub(crate) use switch::finish_switch;

use crate::{
    data_dir::{DataDir, DataDirError},
    node::{StartError, content_network},
};
use switch::{Kept, UNFINISHED, switch};

/// A member that an operator names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPeer {
    /// Its id.
    pub node: NodeId,
    /// Where it is dialled.
    pub address: Address,
}

impl FromStr for KnownPeer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "a member is named as NODE@HOST:PORT, the way `swiftctl nodes` on another node shows it";
        let (node, address) = text.split_once('@').ok_or(form)?;
        let node = node.parse().map_err(|error| format!("{form}: {error}"))?;
        let address = address.parse().map_err(|error| format!("{form}: {error}"))?;
        Ok(Self { node, address })
    }
}

/// What the operator says to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RebuildOptions {
    /// Members that are asked first.
    pub peers: Vec<KnownPeer>,
    /// Give up final blocks that nobody has any more.
    pub discard_blocks: bool,
}

/// Why a ledger was not made anew. The folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The folder.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The new ledger.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The new ledger.
    #[error(transparent)]
    Db(#[from] DbError),
    /// What else the node has on disk.
    #[error(transparent)]
    Open(#[from] StartError),
    /// Nothing says which network it was.
    #[error(
        "neither the damaged ledger nor the file `network` in {} says which network this node is in: restore a backup, or \
         join with a new folder", .0.display()
    )]
    NoNetwork(PathBuf),
    /// The chain does not know this node.
    #[error(
        "block {height} is the last that came, and {node} is no member there: start more members, and try again"
    )]
    NotAMember {
        /// This node.
        node: NodeId,
        /// How far the chain came.
        height: u64,
    },
    /// Blocks are missing at the end, and nobody is known to have them.
    #[error(transparent)]
    Short(#[from] MissingBlocks),
    /// No thread of the runtime.
    #[error("cannot run: {0}")]
    Runtime(std::io::Error),
}

/// Final blocks that a damaged ledger had, and nobody gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingBlocks {
    /// How far the chain came.
    pub height: u64,
    /// How far it went, by what could be read of the damaged ledger.
    pub known: Option<u64>,
    /// Whether this node alone makes the network's blocks.
    pub is_sole: bool,
    /// Who was asked.
    pub attempts: Attempts,
}

impl std::error::Error for MissingBlocks {}

impl fmt::Display for MissingBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { height, known, is_sole, attempts } = self;
        match known {
            Some(known) => {
                write!(f, "the chain came up to block {height}, this node's ledger went up to {known}")?;
            }
            None => write!(
                f,
                "the chain came up to block {height}; how far this node's ledger went cannot be read"
            )?,
        }
        write!(f, " (asked: {attempts}). ")?;
        if *is_sole {
            f.write_str(
                "This node alone makes the network's blocks, so what no member has is nowhere else. ",
            )?;
        }
        f.write_str(
            "Start the other members, or name some with --peer NODE@HOST:PORT, and try again; or restore a backup that \
             goes further; or give up what is missing with --discard-blocks",
        )
    }
}

/// A ledger that was made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// The network.
    pub network: NetworkId,
    /// The last block.
    pub height: u64,
    /// How far the damaged ledger went, if it could say.
    pub known_height: Option<u64>,
    /// How many blocks are from the damaged ledger.
    pub own_blocks: u64,
    /// Members that were asked for the others.
    pub attempts: Attempts,
    /// This node's writes that waited.
    pub waiting: TakenAlong,
    /// The damaged ledger; none when there was no file.
    pub kept: Option<PathBuf>,
}

impl Rebuilt {
    /// Makes the ledger in a folder anew; none when an earlier attempt had come so far that only names had to be changed.
    pub async fn make(data_dir: &Path, options: RebuildOptions) -> Result<Option<Self>, RebuildError> {
        let data_dir = DataDir::open_having(data_dir, &["node.key"])?;
        let key = data_dir.key()?;
        if finish_switch(&data_dir)? {
            return Ok(None);
        }
        let wreck = Wreck::open(&data_dir.file("ledger.db"));
        let network = network(&data_dir, wreck.as_ref())?;
        let RebuiltLedger { mut ledger, own_blocks, attempts } = rebuild_ledger(RebuildSetup {
            key: key.clone(),
            network,
            wreck: wreck.as_ref(),
            peers: options.peers.into_iter().map(|KnownPeer { node, address }| (node, address)).collect(),
            path: data_dir.file(UNFINISHED),
        })
        .await?;
        let known_height = wreck.as_ref().and_then(Wreck::height);
        let height = judge(&key, ledger.reader(), known_height, &attempts, options.discard_blocks)?;
        if known_height.is_none_or(|known| known > height) && options.discard_blocks {
            level_content(&data_dir, ledger.reader())?;
        }
        let waiting = take_along(key.id(), wreck.as_ref(), &mut ledger, wall_clock_ms())?;
        // Closed, each is whole under its name.
        drop((ledger, wreck));
        let Kept(kept) = switch(&data_dir)?;
        Ok(Some(Self { network, height, known_height, own_blocks, attempts, waiting, kept }))
    }
}

/// The network that the folder belongs to.
fn network(data_dir: &DataDir, wreck: Option<&Wreck>) -> Result<NetworkId, RebuildError> {
    let genesis = wreck.and_then(Wreck::genesis);
    match (content_network(data_dir)?, genesis) {
        // A network that was founded anew: the content has not followed yet.
        (Some(Ok(said)), Some(genesis))
            if genesis.body().origin.is_some_and(|origin| origin.network == said) =>
        {
            Ok(genesis.id())
        }
        (Some(Ok(said)), _) => Ok(said),
        (_, Some(genesis)) => Ok(genesis.id()),
        (_, None) => Err(RebuildError::NoNetwork(data_dir.path().to_owned())),
    }
}

/// Whether the new ledger is one to go on with; its height.
fn judge(
    key: &NodeKey,
    ledger: &LedgerReader,
    known: Option<u64>,
    attempts: &Attempts,
    discard_blocks: bool,
) -> Result<u64, RebuildError> {
    let (height, node) = (ledger.head()?.height, key.id());
    let validators = ledger.validators()?;
    let is_sole = validators.len() == 1 && validators.weight(&node) > 0;
    let is_short = known.is_none_or(|known| known > height);
    // Other validators have what they decided with this one, and the node follows when it runs.
    if is_short && (is_sole || !attempts.any_answered()) && !discard_blocks {
        return Err(MissingBlocks { height, known, is_sole, attempts: attempts.clone() }.into());
    }
    if ledger.member(&node)?.is_none() {
        return Err(RebuildError::NotAMember { node, height });
    }
    Ok(height)
}

/// The store may have followed blocks that are given up: their heights will mean something else.
fn level_content(data_dir: &DataDir, ledger: &LedgerReader) -> Result<(), RebuildError> {
    if data_dir.file("content").join("index.db").exists() {
        let store = Store::open(StoreOptions::in_dir(data_dir.path())).map_err(StartError::from)?;
        store.forget_height().map_err(StartError::from)?;
        bring_level(&store, ledger).map_err(StartError::from)?;
    }
    Ok(())
}

/// What has happened.
impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TakenAlong { waiting, settled, some_are_lost } = self.waiting;
        writeln!(f, "The ledger of network {} was made anew; every block was checked.", self.network)?;
        writeln!(f, "  last block      {}", self.height)?;
        writeln!(f, "  of its own      {} blocks", self.own_blocks)?;
        for attempt in &self.attempts.0 {
            let (node, address) = (attempt.node, &attempt.address);
            match &attempt.outcome {
                Ok(blocks) => writeln!(f, "  asked           {node} at {address}: {blocks} blocks")?,
                Err(reason) => writeln!(f, "  asked           {node} at {address}: {reason}")?,
            }
        }
        if let Some(kept) = &self.kept {
            writeln!(f, "  damaged ledger  {}", kept.display())?;
        }
        if waiting > 0 {
            writeln!(f, "  taken along     {waiting} writes of this node that waited for a block")?;
        }
        if settled > 0 {
            writeln!(f, "  final           {settled} writes of this node that waited before")?;
        }
        if some_are_lost {
            writeln!(
                f,
                "  may be lost     writes of this node that waited and could not be read; uploads among them are taken \
                 from the content index when the node starts, anything else that was not final must be done again"
            )?;
        }
        if let Some(known) = self.known_height.filter(|known| *known > self.height) {
            writeln!(
                f,
                "  missing         blocks {} to {known}, which the damaged ledger had",
                self.height + 1
            )?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "Start the node as before. It goes on with the content that it has, fetches the blocks it may lack,"
        )?;
        write!(f, "and makes no blocks before it has heard from every member.")
    }
}
