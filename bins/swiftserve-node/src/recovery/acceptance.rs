//! Following a network that another member founded anew.

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
};

use swift_chain::{
    LedgerDb, NetworkId, Origin,
    recovery::{CarriedOver, RecoveryFile, RecoveryFileError, Standing, examine},
};
use swift_p2p::driver::wall_clock_ms;

use super::{RecoveryError, Stopped, Waiting, open_file};

/// What the operator agrees to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// Accept what this node cannot check by itself.
    pub trust_recovery: bool,
    /// Give up final blocks of this node.
    pub discard_blocks: bool,
}

/// A recovered network that a folder is to follow. Nothing has happened yet.
pub struct Acceptance {
    stopped: Stopped,
    path: PathBuf,
    file: RecoveryFile<File>,
    standing: Standing,
}

impl Acceptance {
    /// Compares a recovery file with the ledger in a folder; none when the folder follows that network already.
    pub fn plan(data_dir: &Path, file: &Path) -> Result<Option<Self>, RecoveryError> {
        let path = file.to_owned();
        let no_file = |error| RecoveryError::File { path: path.clone(), error };
        let file = RecoveryFile::open(open_file(&path)?).map_err(no_file)?;
        let stopped = Stopped::open(data_dir)?;
        if stopped.ledger.reader().network() == file.genesis().id() {
            return Ok(None);
        }
        let standing = examine(stopped.ledger.reader(), file.genesis())?;
        Ok(Some(Self { stopped, path, file, standing }))
    }

    /// How this node's ledger stands to it.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Follows it, if the node could check it or the operator agrees without.
    pub fn carry_out(self, consent: Consent) -> Result<Accepted, RecoveryError> {
        let Self { stopped, path, file, standing } = self;
        let (origin, founder, network) = (*file.origin(), file.genesis().body().founder, file.genesis().id());
        match standing {
            Standing::Behind { height: ours } if !consent.trust_recovery => {
                return Err(RecoveryError::Unchecked { ours, theirs: origin.height, founder });
            }
            Standing::Ahead { height: ours } if !consent.discard_blocks => {
                return Err(RecoveryError::Ahead { ours, theirs: origin.height });
            }
            Standing::Level | Standing::Behind { .. } | Standing::Ahead { .. } => {}
        }
        let room = stopped.room()?;
        let new = match file.into_ledger(&room) {
            Ok(new) => new,
            // This node's own disk or database, not the file.
            Err(RecoveryFileError::Db(error @ swift_chain::DbError::Sqlite(_))) => return Err(error.into()),
            Err(error) => return Err(RecoveryError::File { path, error }),
        };
        let node = stopped.key.id();
        if new.reader().member(&node)?.is_none() {
            drop(new);
            // What was made is of no use; if it stays, the next attempt removes it.
            let _ = LedgerDb::remove(&room);
            return Err(RecoveryError::NotAMember { node, network });
        }
        let (carried, kept) = stopped.switch(new, wall_clock_ms())?;
        Ok(Accepted { network, origin, standing, kept, carried })
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The network that is followed now.
    pub network: NetworkId,
    /// What it goes on from.
    pub origin: Origin,
    /// How the old ledger stood to that.
    pub standing: Standing,
    /// The old ledger.
    pub kept: PathBuf,
    /// What became of writes that waited.
    pub carried: CarriedOver,
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { network, height, .. } = self.origin;
        writeln!(f, "This node goes on from block {height} of network {network} as a member of")?;
        writeln!(f, "  network        {}", self.network)?;
        match self.standing {
            Standing::Level => {
                writeln!(f, "  checked        members, files and limits are those of this node's ledger")?;
            }
            Standing::Behind { .. } => {
                writeln!(f, "  not checked    this node's ledger was shorter")?;
            }
            Standing::Ahead { height: ours } => {
                writeln!(f, "  given up       {} blocks of this node's ledger", ours - height)?;
            }
        }
        writeln!(f, "  old ledger     {}", self.kept.display())?;
        fmt::Display::fmt(&Waiting(self.carried), f)?;
        writeln!(f)?;
        write!(f, "Start the node as before.")
    }
}
