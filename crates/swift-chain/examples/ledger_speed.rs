//! Measures what one core does with a ledger: how fast a chain is verified while it is followed or audited, and how
//! long a long one takes to open. Started by `cargo xtask bench ledger`. It prints one line of JSON.
//!
//! ```text
//! ledger_speed FOLDER [TRANSACTIONS] [BLOCKS]
//! ```
//!
//! FOLDER should be in memory: what is measured is the processor, not the disk.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use swift_chain::{
    Action, Audit, ChainFrame, FileEntry, FrameDecoder, Genesis, GenesisBody, Hash, Input, LedgerDb,
    NetworkParams, NodeKey, Now, Output, PROTOCOL_VERSION, Replica, RequestId, SealedBlock,
};

/// Transactions in each block that is verified.
const PER_BLOCK: usize = 100;
/// Blocks taken in one step, as a node that catches up does.
const BLOCKS_PER_STEP: usize = 256;
/// How often a ledger is opened.
const OPENINGS: usize = 5;
const START_MS: u64 = 1_700_000_000_000;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().ok_or("usage: ledger_speed FOLDER [TRANSACTIONS] [BLOCKS]")?);
    let transactions = args.next().map_or(Ok(50_000), |text| text.parse())?;
    let blocks = args.next().map_or(Ok(100_000), |text| text.parse())?;

    let chain = Chain::of(&folder.join("source.db"), transactions, PER_BLOCK)?;
    let followed = transactions_per_second(transactions, chain.follow(&folder.join("follower.db"))?);
    let audited = transactions_per_second(transactions, chain.audit()?);
    drop(chain);
    let long = folder.join("long.db");
    Chain::of(&long, blocks, 1)?;
    let (len, opened) = (fs::metadata(&long)?.len(), open(&long, blocks)?);
    println!(
        "{{\"transactions\":{transactions},\"per_block\":{PER_BLOCK},\"followed_per_second\":{followed:.0},\
         \"audited_per_second\":{audited:.0},\"blocks\":{blocks},\"ledger_bytes\":{len},\"open_ms\":{:.3}}}",
        opened.as_secs_f64() * 1e3
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a rate is shown without decimals")]
fn transactions_per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// A chain as its founder, who decides alone, has made it.
struct Chain {
    genesis: Genesis,
    bytes: Vec<u8>,
}

impl Chain {
    /// Makes a ledger with so many transactions, each of which publishes a name of its own.
    fn of(path: &Path, transactions: usize, per_block: usize) -> Result<Self, Failure> {
        let key = founder();
        let body = GenesisBody {
            protocol_version: PROTOCOL_VERSION,
            nonce: [1; 16],
            time_ms: START_MS,
            founder: key.id(),
            address: "10.0.0.1:8000".parse()?,
            params: NetworkParams::default(),
            origin: None,
        };
        let genesis = Genesis::sign(&key, body);
        let mut replica = Replica::new(key, LedgerDb::create(path, &genesis)?)?;
        let (mut now_ms, mut made) = (START_MS, 0);
        while made < transactions {
            let count = per_block.min(transactions - made);
            now_ms += 1;
            let inputs = (made..made + count).map(submit).collect::<Result<Vec<_>, _>>()?;
            let outputs = replica.step(Now::at_ms(now_ms), inputs)?;
            let settled = outputs.iter().filter(|one| matches!(one, Output::Settled { outcome: Ok(_), .. }));
            if settled.count() != count {
                return Err("a write was not decided at once".into());
            }
            made += count;
        }
        let (bytes, _) = replica.reader().frames(0, usize::MAX)?;
        Ok(Self { genesis, bytes })
    }

    /// Another member takes the chain over, from its bytes to its own file. Answers how long that took.
    fn follow(&self, path: &Path) -> Result<Duration, Failure> {
        let db = LedgerDb::create(path, &self.genesis)?;
        let mut replica = Replica::new(NodeKey::from_seed([2; 32]), db)?;
        let begun = Instant::now();
        let blocks = self.blocks()?;
        let last = blocks.last().map_or(0, |sealed| sealed.block.header.height);
        for (step, some) in blocks.chunks(BLOCKS_PER_STEP).enumerate() {
            let input = Input::Blocks { request: RequestId(step as u64), blocks: some.to_vec() };
            replica.step(Now::at_ms(START_MS), vec![input])?;
        }
        let took = begun.elapsed();
        if replica.head().height != last { Err("the chain was not taken".into()) } else { Ok(took) }
    }

    fn blocks(&self) -> Result<Vec<SealedBlock>, Failure> {
        let mut decoder = FrameDecoder::default();
        decoder.push(&self.bytes);
        let mut blocks = Vec::new();
        while let Some(frame) = decoder.next_frame()? {
            if let ChainFrame::Block(sealed) = frame {
                blocks.push(*sealed);
            }
        }
        Ok(blocks)
    }

    /// The chain is checked without a ledger of one's own. Answers how long that took.
    fn audit(&self) -> Result<Duration, Failure> {
        let begun = Instant::now();
        Audit::read(self.bytes.as_slice(), Some(self.genesis.id()), |_| {})?;
        Ok(begun.elapsed())
    }
}

fn founder() -> NodeKey {
    NodeKey::from_seed([1; 32])
}

fn submit(number: usize) -> Result<Input, Failure> {
    let content = Hash::from_bytes([7; 32]);
    let name = format!("{}/{number}", number / 1000).parse()?;
    let file = FileEntry { name, size: 7, file_id: content, manifest_hash: content };
    let action = Action::AddFile { file, replaces: None };
    Ok(Input::Submit { request: RequestId(number as u64), action, on_behalf_of: None })
}

/// How long it takes from the file to a replica that can go on: the median of some.
fn open(path: &Path, blocks: usize) -> Result<Duration, Failure> {
    let mut took = Vec::new();
    for _ in 0..OPENINGS {
        let begun = Instant::now();
        let db = LedgerDb::open(path)?.ok_or("there is no ledger")?;
        let replica = Replica::new(founder(), db)?;
        took.push(begun.elapsed());
        if replica.head().height != blocks as u64 {
            return Err("the ledger has not all its blocks".into());
        }
    }
    took.sort_unstable();
    Ok(took[OPENINGS / 2])
}
