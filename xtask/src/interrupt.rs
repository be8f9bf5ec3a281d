//! Ctrl-C and SIGTERM as a flag that every wait looks at.
//!
//! Dying at once would leave node processes behind: they run in process groups of their own, so that a Ctrl-C in
//! the terminal reaches only this program, which then stops them in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

/// Whether somebody asked this program to end. Clones share the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Catches the signals of this process. Can be done once per process.
    pub(crate) fn install() -> Result<Self> {
        let interrupt = Self::default();
        let raised = Arc::clone(&interrupt.0);
        ctrlc::set_handler(move || raised.store(true, Ordering::Relaxed)).context("cannot catch Ctrl-C")?;
        Ok(interrupt)
    }

    /// True from the first signal on.
    pub(crate) fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error once a signal has come, for code that has nothing to finish.
    pub(crate) fn check(&self) -> Result<()> {
        if self.raised() {
            bail!("interrupted");
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
