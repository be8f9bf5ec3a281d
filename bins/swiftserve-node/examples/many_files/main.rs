//! Makes the data folder of a node with many files, for `cargo xtask bench start`.
//!
//! The ledger is a node's own: it founds a network and publishes every file by a signed transaction. Contents are sparse:
//! whole chunks of zeros and a few bytes of their own at the end, so that each is another file with true hashes and little
//! of it takes room. Their records in the content index are those that an upload leaves, and the folder that people see
//! is made by the store.
//!
//! ```text
//! many_files --dir FOLDER --port PORT [--files 100000]
//! ```

mod contents;
mod sparse;
mod sums;

use std::{error::Error, path::PathBuf, time::Duration};

use clap::Parser;
use futures_util::{StreamExt, TryStreamExt, stream};
use rusqlite::{Connection, OpenFlags};
use swift_chain::{Action, FileEntry, Hash};
use swift_chunks::{Store, StoreOptions};
use swift_p2p::driver::wall_clock_ms;
use swiftserve_node::{Node, NodeOptions};

use contents::Contents;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Writes that wait for their block at any time.
const IN_FLIGHT: usize = 2000;
/// How long the stopping node may take.
const GRACE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Parser)]
struct Args {
    /// The data folder to be
    #[arg(long)]
    dir: PathBuf,
    /// Where the node listens while the folder is made
    #[arg(long)]
    port: u16,
    #[arg(long, default_value_t = 100_000)]
    files: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.dir)?;
    let contents = Contents::new()?;
    publish(&args, &contents).await?;
    let mut bytes = 0;
    let mut index = sparse::Index::open(&args.dir)?;
    for number in 0..args.files {
        let manifest = contents.manifest(number)?;
        bytes += manifest.layout().file_len();
        index.complete(&manifest, &contents.tail(number))?;
    }
    index.commit()?;
    // The files folder is the store's own affair.
    let store = Store::open(StoreOptions::in_dir(&args.dir))?;
    let shown = store.retry_visible(wall_clock_ms())?.shown.len();
    drop(store);
    println!("{{\"files\": {}, \"bytes\": {bytes}, \"shown\": {shown}}}", args.files);
    Ok(())
}

/// Founds a network and puts every file into its ledger, and waits until the content index has followed.
async fn publish(args: &Args, contents: &Contents) -> Result<()> {
    let folder = args.dir.to_str().ok_or("the folder's path is no UTF-8")?;
    let node = Node::start(NodeOptions::new(folder, "127.0.0.1", args.port)?).await?;
    let writes = stream::iter(0..args.files).map(|number| {
        let node = &node;
        async move {
            let manifest = contents.manifest(number)?;
            let file = FileEntry {
                name: format!("many/{:03}/{number:06}.bin", number / 1000).parse()?,
                size: manifest.layout().file_len(),
                file_id: Hash::from_bytes(*manifest.file_id().as_bytes()),
                manifest_hash: Hash::from_bytes(*manifest.hash().as_bytes()),
            };
            node.ledger().submit(Action::AddFile { file, replaces: None }, None).await?;
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        }
    });
    writes.buffer_unordered(IN_FLIGHT).try_collect::<Vec<()>>().await?;
    let height = node.ledger().head().height;
    while applied(args)? < height {
        // The index tells nobody when it changes.
        tokio::time::sleep(LOOK_EVERY).await;
    }
    node.stop(GRACE).await;
    Ok(())
}

fn applied(args: &Args) -> Result<u64> {
    let path = args.dir.join("content/index.db");
    let index = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let height: Option<u64> = index.query_row("SELECT applied_height FROM totals", [], |row| row.get(0))?;
    Ok(height.unwrap_or(0))
}
