//! Watching what the store does to the file system, for tests: they record it, or make it fail.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// Somebody through whom every change of the file system passes.
pub trait DiskWatcher: Send + Sync {
    /// Does it, by calling `action` once, or fails instead.
    fn run(&self, op: &DiskOp<'_>, action: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()>;
}

/// One change of the file system.
pub enum DiskOp<'a> {
    /// Makes a file, or empties the one that is there.
    Create(Place<'a>),
    /// Gives a file another name besides: what it has, and the new one.
    Link(Place<'a>, Place<'a>),
    /// From, to.
    Rename(Place<'a>, Place<'a>),
    /// Removes a file.
    Remove(Place<'a>),
    /// Makes a directory.
    MakeDir(Place<'a>),
    /// Removes an empty directory.
    RemoveDir(Place<'a>),
    /// Writes bytes at an offset.
    Write(&'a File, &'a [u8], u64),
    /// Fills a file with what another has.
    Fill(&'a File),
    /// Sets the length.
    SetLen(&'a File, u64),
    /// Changes the mode or the times.
    SetAttributes(&'a File),
    /// Bytes and length become durable.
    SyncData(&'a File),
    /// Mode and times, too.
    SyncAll(&'a File),
    /// What happened to the names in a directory becomes durable.
    SyncDir(&'a dyn AsFd),
    /// The index commits: one step, durable when it ends.
    Commit,
}

/// A name in a directory.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// By path.
    Path(&'a Path),
    /// By an open directory, and the name in it.
    In(&'a dyn AsFd, &'a str),
}
