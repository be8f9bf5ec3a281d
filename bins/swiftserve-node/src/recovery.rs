//! Going on after the validators of a network were lost for good: an admin's folder becomes that of a new network, and
//! the other members' folders follow it.
//!
//! All of it is done to the folder of a node that does not run. A crash at any point leaves a folder that opens as the
//! old network or as the new one.

mod acceptance;
mod error;
mod switch;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::BufWriter,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use swift_chain::{
    LedgerDb, NetworkId, NodeKey,
    recovery::{CarriedOver, Refounding, carry_over, create_ledger, write_recovery_file},
};
use swift_chunks::{Store, StoreOptions};
use swift_p2p::driver::wall_clock_ms;

pub use acceptance::{Acceptance, Accepted, Consent};
pub use error::RecoveryError;

use crate::{
    data_dir::{DataDir, io_error, sync_folder},
    node::{StartError, follow_network, random},
};
use switch::Switch;

/// The ledger of the new network while it is made.
const NEW_LEDGER: &str = "ledger.recovering";

/// A folder, its key and its ledger, with no node running on them.
struct Stopped {
    data_dir: DataDir,
    key: NodeKey,
    ledger: LedgerDb,
}

impl Stopped {
    fn open(path: &Path) -> Result<Self, RecoveryError> {
        let data_dir = DataDir::open_existing(path)?;
        let key = data_dir.key()?;
        let missing = || RecoveryError::NoLedger(path.to_owned());
        let ledger = LedgerDb::open(&data_dir.file("ledger.db"))?.ok_or_else(missing)?;
        // A switch before this one may not have come to its end: the next start would have ended it.
        if data_dir.file("content").join("index.db").exists() {
            let opened = Store::open(StoreOptions::in_dir(data_dir.path())).map_err(StartError::from);
            opened.and_then(|store| follow_network(&data_dir, &store, ledger.reader()))?;
        }
        Ok(Self { data_dir, key, ledger })
    }

    /// Where the new ledger is made, with nothing there.
    fn room(&self) -> Result<PathBuf, RecoveryError> {
        let path = self.data_dir.file(NEW_LEDGER);
        LedgerDb::remove(&path).map_err(|(path, source)| io_error("remove", &path)(source))?;
        Ok(path)
    }

    /// Takes the writes that wait along, and puts the new ledger into the old one's place.
    fn switch(self, mut new: LedgerDb, now_ms: u64) -> Result<(CarriedOver, PathBuf), RecoveryError> {
        let carried = carry_over(&self.key, &self.ledger, &mut new, now_ms)?;
        let switch = Switch::new(&self.data_dir, self.ledger.reader().network());
        // Closed, each is one file, without a log beside it.
        drop((self.ledger, new));
        let kept = switch.carry_out(|_| Ok(()))?;
        Ok((carried, kept))
    }
}

/// A network that is to be founded anew from a folder. Nothing has happened yet.
pub struct Recovery {
    stopped: Stopped,
    plan: Refounding,
}

impl Recovery {
    /// Looks whether the node of this folder can found its network anew. Checks its whole ledger.
    pub fn plan(data_dir: &Path) -> Result<Self, RecoveryError> {
        let stopped = Stopped::open(data_dir)?;
        let reader = stopped.ledger.reader();
        let genesis = reader.genesis();
        if genesis.body().origin.is_some()
            && genesis.body().founder == stopped.key.id()
            && reader.head()?.height == 0
        {
            return Err(RecoveryError::DoneAlready(genesis.id()));
        }
        let plan = Refounding::plan(stopped.key.id(), reader)?;
        Ok(Self { stopped, plan })
    }

    /// Founds the network anew, and writes the file that tells the others of it: to `file`, or into the folder.
    pub fn carry_out(self, file: Option<&Path>) -> Result<Recovered, RecoveryError> {
        let Self { stopped, plan } = self;
        let now_ms = wall_clock_ms();
        let genesis = plan.sign(&stopped.key, random()?, now_ms);
        let network = genesis.id();
        let file = TellingFile::create(&stopped.data_dir, file, network)?;
        let old = stopped.ledger.reader().network();
        let new = create_ledger(&stopped.room()?, &genesis, stopped.ledger.reader())?;
        // Before the switch, so that a disk that is full or a path that is wrong stops it.
        file.write(&new)?;
        let (carried, kept) = stopped.switch(new, now_ms)?;
        let file = file.finish()?;
        Ok(Recovered { old, network, file, kept, carried })
    }

    /// Writes the file that tells the others once more, from the folder of any node that is in the new network.
    pub fn rewrite_file(data_dir: &Path, file: Option<&Path>) -> Result<PathBuf, RecoveryError> {
        let stopped = Stopped::open(data_dir)?;
        let file = TellingFile::create(&stopped.data_dir, file, stopped.ledger.reader().network())?;
        file.write(&stopped.ledger)?;
        file.finish()
    }
}

/// What will happen.
impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (origin, counts) = (self.plan.origin(), self.plan.counts());
        writeln!(f, "This ledger was checked from its first block on.")?;
        writeln!(f, "  network     {}", origin.network)?;
        writeln!(f, "  last block  {} at height {}", origin.hash, origin.height)?;
        writeln!(f, "  members     {}", counts.members)?;
        writeln!(f, "  files       {} ({} bytes)", counts.files, counts.bytes)?;
        writeln!(
            f,
            "  founder     {} (this node), at {}",
            self.stopped.key.id(),
            self.plan.member().address
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "A new network will go on from there, with this node as its only validator. Blocks behind that one"
        )?;
        write!(
            f,
            "are lost if another node has them: compare `height` in `swiftctl status` on all of them first."
        )
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The network that was lost.
    pub old: NetworkId,
    /// The one that goes on from it.
    pub network: NetworkId,
    /// What the other operators need.
    pub file: PathBuf,
    /// The old ledger.
    pub kept: PathBuf,
    /// What became of writes that waited.
    pub carried: CarriedOver,
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Network {} goes on as", self.old)?;
        writeln!(f, "        {}", self.network)?;
        writeln!(f, "  recovery file  {}", self.file.display())?;
        writeln!(f, "  old ledger     {}", self.kept.display())?;
        fmt::Display::fmt(&Waiting(self.carried), f)?;
        writeln!(f)?;
        writeln!(f, "Next:")?;
        writeln!(f, "  on every other node, stopped, with a copy of the recovery file:")?;
        writeln!(f, "    swiftserve-node accept-recovery FILE --data-dir DIR")?;
        writeln!(f, "  then start all nodes as before, this one too")?;
        write!(f, "  new machines join by tickets as ever; tickets of the old network are void")
    }
}

/// What became of writes that waited, in words.
struct Waiting(CarriedOver);

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CarriedOver { carried, dropped } = self.0;
        if carried > 0 {
            writeln!(f, "  taken along    {carried} writes of this node that waited for a block")?;
        }
        if dropped > 0 {
            writeln!(
                f,
                "  void           {dropped} requests to join, to upgrade or to change validators that waited"
            )?;
        }
        Ok(())
    }
}

/// The file that tells the others. It has its name only when all is done, so that nobody is told of a network that
/// never was.
struct TellingFile {
    target: PathBuf,
    part: PathBuf,
}

impl TellingFile {
    fn create(data_dir: &DataDir, target: Option<&Path>, network: NetworkId) -> Result<Self, RecoveryError> {
        let target =
            target.map_or_else(|| data_dir.file(&format!("recovery-{network}.chain")), Path::to_owned);
        if target.symlink_metadata().is_ok() {
            return Err(RecoveryError::FileExists(target));
        }
        let mut part = target.clone().into_os_string();
        part.push(".part");
        Ok(Self { target, part: part.into() })
    }

    fn write(&self, ledger: &LedgerDb) -> Result<(), RecoveryError> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let file = options.open(&self.part).map_err(io_error("create", &self.part))?;
        let failed = |error| RecoveryError::Write { path: self.part.clone(), error };
        write_recovery_file(ledger.reader(), BufWriter::new(&file)).map_err(failed)?;
        file.sync_all().map_err(io_error("sync", &self.part))?;
        Ok(())
    }

    fn finish(self) -> Result<PathBuf, RecoveryError> {
        fs::rename(&self.part, &self.target).map_err(io_error("create", &self.target))?;
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        sync_folder(folder.unwrap_or(Path::new(".")))?;
        Ok(self.target)
    }
}

/// Opens what an operator brought.
fn open_file(path: &Path) -> Result<File, RecoveryError> {
    Ok(File::open(path).map_err(io_error("open", path))?)
}
