//! The one place where this program waits for another.
//!
//! A process does not tell us when something became true in it, so we look again and again. Every wait has a name
//! for its error, a limit, and ends at once when somebody interrupts the run.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::interrupt::Interrupt;

/// Short enough that a measured time means something, long enough to leave the processor to those who work.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until a condition holds, as long as nobody interrupts.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    interrupt: Interrupt,
}

impl Patience {
    pub(crate) fn new(interrupt: &Interrupt) -> Self {
        Self { interrupt: interrupt.clone() }
    }

    /// For what must come to its end in good order after an interruption too.
    pub(crate) fn even_if_interrupted(&self) -> Self {
        Self::new(&Interrupt::default())
    }

    /// Whether somebody asked this program to end.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupt.raised()
    }

    /// Looks until `look` finds something. An error in `look` ends the wait: what cannot become true any more need
    /// not be waited for.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        self.wait(what, Some(limit), look)
    }

    /// Like [`Patience::until`], for what takes as long as it takes.
    pub(crate) fn for_ever<T>(&self, what: &str, look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        self.wait(what, None, look)
    }

    fn wait<T>(
        &self,
        what: &str,
        limit: Option<Duration>,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            // Once more after the limit, since this process may have been the one that was kept waiting.
            let late = limit.is_some_and(|limit| begun.elapsed() >= limit);
            if let Some(found) = look().with_context(|| format!("while waiting for: {what}"))? {
                return Ok(found);
            }
            if self.interrupt.raised() {
                bail!("interrupted while waiting for: {what}");
            }
            if late {
                bail!("waited {:.1} s in vain for: {what}", begun.elapsed().as_secs_f64());
            }
            // tidy: sleep-ok because the condition is in another process, which tells nobody
            thread::sleep(LOOK_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: Duration = Duration::from_secs(3600);

    #[test]
    fn a_wait_ends_with_what_it_finds() -> Result<()> {
        let mut left = 3;
        let found = Patience::new(&Interrupt::default()).until("a countdown", AGES, || {
            left -= 1;
            Ok((left == 0).then_some("done"))
        })?;
        assert_eq!((found, left), ("done", 0));
        Ok(())
    }

    #[test]
    fn a_wait_in_vain_says_for_what_after_a_last_look() {
        let mut looks = 0;
        let nothing = || {
            looks += 1;
            Ok(None::<()>)
        };
        let error = Patience::new(&Interrupt::default()).until("rain", Duration::ZERO, nothing).unwrap_err();
        assert!(error.to_string().ends_with("in vain for: rain"), "{error}");
        assert_eq!(looks, 1);
    }

    #[test]
    fn an_error_or_an_interruption_ends_the_wait_at_once() {
        let interrupt = Interrupt::default();
        let patience = Patience::new(&interrupt);
        assert!(patience.until("x", AGES, || -> Result<Option<()>> { bail!("it died") }).is_err());
        interrupt.raise();
        let error = patience.until("rain", AGES, || Ok(None::<()>)).unwrap_err();
        assert_eq!(error.to_string(), "interrupted while waiting for: rain");
    }
}
