//! A member serves bytes that are not the file: its copy was changed behind its back, which is what lying looks like
//! from outside.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Result, ensure};

use super::transfer::{ARRIVAL, arrives};
use crate::scenario::world::World;

const SIZE: u64 = 64 << 20;
const CHUNK: u64 = 4 << 20;

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut a = world.found()?;
    let mut liar = world.join(&a)?;
    let mut c = world.join(&a)?;
    // Away while the others get the file, so that the only copy it then meets is the spoilt one.
    c.stop()?;
    let file = world.file("big.iso", SIZE, 1)?;
    a.ctl(&[&"upload", &file])?.ok()?;
    arrives(world, &mut liar, &file)?;
    spoil_every_chunk(&liar.data_dir().join("content/objects"))?;
    a.stop()?;
    c.restart()?;

    let id = liar.ctl_json(&[&"status"])?["node_id"].as_str().unwrap_or_default().to_owned();
    let names_the_liar = |line: &str| line.contains("wrong bytes") && line.contains(&id);
    world.patience().until("the receiver to name the liar", ARRIVAL, || {
        Ok(c.log()?.lines().any(names_the_liar).then_some(()))
    })?;
    ensure!(!c.files_dir().join("big.iso").exists(), "wrong bytes became a file");

    a.restart()?;
    arrives(world, &mut c, &file)?;
    a.stop()?;
    c.stop()
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
