//! A member serves bytes that are not the file: its copy was changed behind its back, which is what lying looks like
//! from outside.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Result, ensure};

use super::transfer::{ARRIVAL, arrives};
use crate::scenario::lan::Cable;
use crate::scenario::node::Node;
use crate::scenario::world::World;

const SIZE: u64 = 32 << 20;
const CHUNK: u64 = 4 << 20;
/// Members that serve what they verified.
const HONEST: usize = 3;

pub(super) fn play(world: &mut World) -> Result<()> {
    world.cable(Cable::both(80));
    let mut a = world.found()?;
    let mut liar = world.join(&a)?;
    let mut honest = Vec::new();
    for _ in 0..HONEST {
        honest.push(world.join(&a)?);
    }
    // Away while the liar gets the file, so that the only copy they then meet is the spoilt one.
    honest.iter_mut().try_for_each(Node::stop)?;
    let file = world.file("big.iso", SIZE, 1)?;
    a.ctl(&[&"upload", &file])?.ok()?;
    arrives(world, &mut liar, &file)?;
    spoil_every_chunk(&liar.data_dir().join("content/objects"))?;
    let id = liar.id()?;
    a.stop()?;
    honest.iter_mut().try_for_each(Node::restart)?;

    for node in &honest {
        let names_the_liar = |line: &str| line.contains("wrong bytes") && line.contains(&id);
        let what = format!("{} to name the liar", node.name());
        world
            .patience()
            .until(&what, ARRIVAL, || Ok(node.log()?.lines().any(names_the_liar).then_some(())))?;
        ensure!(!node.files_dir().join("big.iso").exists(), "wrong bytes became a file");
    }

    // With a true copy in reach all of them complete; none of them is taken for a liar for what it passed on.
    a.restart()?;
    for node in &mut honest {
        arrives(world, node, &file)?;
        let log = node.log()?;
        let blames = log.lines().filter(|line| line.contains("wrong bytes"));
        let wronged: Vec<&str> = blames.filter(|line| !line.contains(&id)).collect();
        ensure!(wronged.is_empty(), "an honest member is blamed: {wronged:?}");
        let received = node.received()?;
        println!("{} received {:.3} copies", node.name(), received as f64 / SIZE as f64);
    }
    a.stop()?;
    liar.stop()?;
    honest.iter_mut().try_for_each(Node::stop)
}

/// Flips a byte in every chunk of every object, keeping lengths and times.
fn spoil_every_chunk(objects: &Path) -> Result<()> {
    let mut spoilt = 0;
    for entry in fs::read_dir(objects)? {
        let path = entry?.path();
        let times: SystemTime = fs::metadata(&path)?.modified()?;
        let object = OpenOptions::new().read(true).write(true).open(&path)?;
        for at in (0..object.metadata()?.len()).step_by(usize::try_from(CHUNK)?) {
            let mut byte = [0];
            object.read_exact_at(&mut byte, at + 77)?;
            object.write_all_at(&[byte[0] ^ 1], at + 77)?;
            spoilt += 1;
        }
        File::set_modified(&object, times)?;
    }
    ensure!(spoilt == SIZE / CHUNK, "{spoilt} chunks were spoilt");
    Ok(())
}
