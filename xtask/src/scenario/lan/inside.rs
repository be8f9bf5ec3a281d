//! Doing something where a node lives.

use std::path::Path;
use std::thread;

use anyhow::{Context, Result, anyhow};

use super::naming::NAMESPACES;

/// Does something in a network namespace, in a thread of its own that ends with it: sockets made there belong there.
pub(crate) fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let path = Path::new(NAMESPACES).join(namespace);
    thread::scope(|scope| {
        let done = scope.spawn(|| {
            enter(&path).with_context(|| format!("cannot enter {}", path.display()))?;
            work()
        });
        done.join().map_err(|_| anyhow!("what was done in {namespace} panicked"))?
    })
}

#[cfg(target_os = "linux")]
fn enter(namespace: &Path) -> Result<()> {
    use std::fs::File;
    use std::os::fd::AsFd;

    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

    let namespace = File::open(namespace)?;
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

#[cfg(not(target_os = "linux"))]
fn enter(_: &Path) -> Result<()> {
    anyhow::bail!("only Linux has network namespaces")
}
