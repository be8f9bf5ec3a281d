//! The same work on many things at once.

use std::{panic, thread};

/// Does the work on each thing, every one on a thread of its own and the first on this. Returns when all is done; if
/// one panics, so does this when the others are done, with what the first of them says.
pub(crate) fn on_each<T: Send>(things: &mut [T], work: impl Fn(&mut T) + Sync) {
    let Some((first, others)) = things.split_first_mut() else { return };
    let work = &work;
    thread::scope(|scope| {
        let begin = |thing| scope.spawn(move || work(thing));
        let running: Vec<_> = others.iter_mut().map(begin).collect();
        work(first);
        for thread in running {
            thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_done_when_it_returns() {
        let mut numbers = [1, 2, 3];
        on_each(&mut numbers, |number| *number *= 2);
        assert_eq!(numbers, [2, 4, 6]);
        on_each(&mut [(); 0], |()| {});
    }

    #[test]
    fn a_panic_on_any_thread_ends_the_work_and_says_what_it_was() {
        for place in 0..3 {
            let mut places = [0, 1, 2];
            let work = |at: &mut usize| assert!(*at != place, "not this one");
            let ended = panic::catch_unwind(panic::AssertUnwindSafe(|| on_each(&mut places, work)));
            let said = ended.unwrap_err();
            assert!(said.downcast_ref::<&str>().is_some_and(|said| said.contains("not this one")));
        }
    }
}
