//! Validators are killed at any moment while writes go on, and never sign twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, anyhow};

use super::validators::{are_level, nobody_lied, promote, write};
use crate::scenario::world::World;

/// Each time another one dies, at another moment of what it is doing.
const KILLS: usize = 24;

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut writer = world.found()?;
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(world.join(&writer)?);
    }
    // The writer decides nothing: the four others do, so that any one of them may die.
    promote(&writer, &others.iter().collect::<Vec<_>>())?;
    let founder = writer.id()?;
    others[0].ctl(&[&"status"])?.ok()?;
    writer.ctl(&[&"node", &"demote", &founder])?.ok()?;

    let is_over = AtomicBool::new(false);
    let (shared, node) = (&*world, &writer);
    thread::scope(|scope| {
        let writing = scope.spawn(|| -> Result<usize> {
            let mut written = 0;
            while !is_over.load(Ordering::Relaxed) {
                write(shared, node, &format!("note-{written}.txt"))?;
                written += 1;
            }
            Ok(written)
        });
        let killed = (0..KILLS).try_for_each(|kill| {
            let victim = &mut others[kill % 4];
            victim.kill()?;
            victim.restart()
        });
        is_over.store(true, Ordering::Relaxed);
        let written = writing.join().map_err(|_| anyhow!("the writer panicked"))??;
        killed?;
        println!("{written} writes beside {KILLS} kills");
        Ok::<_, anyhow::Error>(())
    })?;
    let mut all: Vec<_> = others.iter().collect();
    all.push(&writer);
    are_level(world, &all)?;
    nobody_lied(&all)?;
    for node in others.iter_mut().chain([&mut writer]) {
        node.stop()?;
    }
    Ok(())
}
