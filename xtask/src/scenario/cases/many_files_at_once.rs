//! Two hundred files of every size at two nodes at once; and a small file that comes after a large one does not wait for
//! it.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use super::transfer::{ARRIVAL, arrives};
use crate::scenario::data::{Random, assert_same};
use crate::scenario::lan::Cable;
use crate::scenario::node::Node;
use crate::scenario::world::World;

const FILES: u64 = 200;
const CHUNK: u64 = 4 << 20;

pub(super) fn play(world: &mut World) -> Result<()> {
    world.cable(Cable::both(80));
    let mut a = world.found()?;
    let mut b = world.join(&a)?;
    let mut c = world.join(&a)?;
    let (of_a, of_b) = (folder(world, "from-a", 0)?, folder(world, "from-b", 1)?);
    thread::scope(|scope| {
        let on_a = scope.spawn(|| a.ctl(&[&"upload", &of_a]));
        let on_b = b.ctl(&[&"upload", &of_b]);
        on_a.join().map_err(|_| anyhow!("the upload panicked"))??.ok()?;
        on_b?.ok()
    })?;
    for folder in [&of_a, &of_b] {
        for node in [&mut a, &mut b, &mut c] {
            all_arrive(world, node, folder)?;
        }
    }
    let listed = c.get("/v1/status")?["files"].as_u64();
    ensure!(listed == Some(FILES), "the ledger has {listed:?} files");

    let large = world.file("large.iso", world.paced(48 << 20, 512 << 20), 7)?;
    let small = world.file("small.txt", 10_000, 8)?;
    a.ctl(&[&"upload", &large])?.ok()?;
    a.ctl(&[&"upload", &small])?.ok()?;
    let mut waiting = vec![&b, &c];
    world.patience().until("the small file to arrive before the large one", ARRIVAL, || {
        waiting.retain(|node| !shows(node, "small.txt"));
        for node in &waiting {
            let late = shows(node, "large.iso") && !shows(node, "small.txt");
            ensure!(!late, "the small file had to wait for the large one on {}", node.name());
        }
        Ok(waiting.is_empty().then_some(()))
    })?;
    for node in [&mut b, &mut c] {
        arrives(world, node, &large)?;
        arrives(world, node, &small)?;
    }
    [a, b, c].iter_mut().try_for_each(Node::stop)
}

fn shows(node: &Node, name: &str) -> bool {
    node.files_dir().join(name).exists()
}

/// Half of the files, most of them small: none, one byte, a grain and so on up to two chunks, and what is between.
fn folder(world: &World, name: &str, half: u64) -> Result<PathBuf> {
    let edges = [0, 1, 16 * 1024, 16 * 1024 + 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK];
    let mut random = Random::new(half);
    let mut folder = None;
    for number in 0..FILES / 2 {
        // As many between 1 KiB and 2 KiB as between 512 KiB and 1 MiB.
        let size = match edges.get(usize::try_from(number)?) {
            Some(edge) => *edge,
            None => {
                let magnitude = 1 << (6 + random.word() % 14);
                magnitude + random.word() % magnitude
            }
        };
        let file = world.file(&format!("{name}/{number:03}.bin"), size, half << 32 | number)?;
        folder = file.parent().map(Path::to_path_buf);
    }
    folder.context("a folder with files in it")
}

/// Waits until all of a folder is on a node, in a folder of that name.
fn all_arrive(world: &World, node: &mut Node, folder: &Path) -> Result<()> {
    let shown = node.files_dir().join(folder.file_name().context("a folder has a name")?);
    for entry in std::fs::read_dir(folder)? {
        let original = entry?.path();
        let copy = shown.join(original.file_name().context("a file has a name")?);
        let what = format!("{} to have {}", node.name(), copy.display());
        world.patience().until(&what, ARRIVAL, || {
            node.assert_running()?;
            Ok(copy.exists().then_some(()))
        })?;
        assert_same(&original, &copy)?;
    }
    Ok(())
}
