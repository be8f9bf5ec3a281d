//! How many connections may be open, and whose: counted when they are accepted, before anything is read.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Origin;

/// What a listener puts up with. Each number bounds what callers that prove nothing can make a node hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections in all. Each takes a file descriptor and, when busy, up to about half a MiB.
    pub connections_max: usize,
    /// Open connections from one remote address: an IPv4 address, or a /64 network of IPv6, which one machine can
    /// have to itself.
    pub connections_per_address_max: usize,
    /// The same for addresses of this machine, where a proxy or many nodes may stand behind one address.
    pub connections_from_loopback_max: usize,
    /// Open connections of one node. A transfer over a long way takes up to 96.
    pub connections_per_node_max: usize,
    /// Open connections in all of nodes that are no members. They may ask to join and little else.
    pub strangers_max: usize,
    /// The same from one remote address; addresses of this machine may take all of them.
    pub strangers_per_address_max: usize,
    /// From accepting a connection to its first byte and, with TLS, to the end of the handshake.
    pub handshake_deadline: Duration,
    /// From a connection's start, or the end of its last request, to the end of the next request's header. So this is
    /// also how long an idle connection is kept; peers drop theirs earlier.
    pub header_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 2_048,
            connections_per_address_max: 256,
            connections_from_loopback_max: 1_024,
            connections_per_node_max: 128,
            strangers_max: 16,
            strangers_per_address_max: 4,
            handshake_deadline: Duration::from_secs(10),
            header_deadline: Duration::from_secs(30),
        }
    }
}

/// Callers who are told at one time that there is no place; more are closed without a word.
const REFUSALS_MAX: usize = 64;

/// Counts the connections of one listener against its limits.
pub(super) struct Admission {
    limits: Limits,
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    by_origin: Counts,
    strangers_by_origin: Counts,
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            connections: semaphore(limits.connections_max),
            strangers: semaphore(limits.strangers_max),
            refusals: semaphore(REFUSALS_MAX),
            by_origin: Counts::default(),
            strangers_by_origin: Counts::default(),
            limits,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A place for one connection from `ip`, free again when dropped.
    pub(super) fn enter(&self, ip: IpAddr) -> Option<Place> {
        let connection = self.connections.clone().try_acquire_owned().ok()?;
        let max = if ip.is_loopback() {
            self.limits.connections_from_loopback_max
        } else {
            self.limits.connections_per_address_max
        };
        Some(Place { _counted: self.by_origin.count(ip, max)?, _permit: connection })
    }

    /// A seat for a node that is no member and calls from `ip`.
    pub(super) fn seat_stranger(&self, ip: IpAddr) -> Option<Place> {
        let seat = self.strangers.clone().try_acquire_owned().ok()?;
        let Limits { strangers_max, strangers_per_address_max, .. } = self.limits;
        let max = if ip.is_loopback() { strangers_max } else { strangers_per_address_max };
        Some(Place { _counted: self.strangers_by_origin.count(ip, max)?, _permit: seat })
    }

    /// Leave to tell one caller that there is no place.
    pub(super) fn refusal(&self) -> Option<OwnedSemaphorePermit> {
        self.refusals.clone().try_acquire_owned().ok()
    }
}

/// A place of all, and of those that one address may have. Free again when dropped.
pub(super) struct Place {
    _counted: Counted,
    _permit: OwnedSemaphorePermit,
}

/// How many there are of each address.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<HashMap<Origin, usize>>>);

impl Counts {
    /// One more, if there are not so many already.
    fn count(&self, ip: IpAddr, max: usize) -> Option<Counted> {
        let origin = Origin::from(ip);
        let mut by_origin = self.lock();
        let count = by_origin.get(&origin).copied().unwrap_or(0);
        if count >= max {
            return None;
        }
        by_origin.insert(origin, count + 1);
        Some(Counted { origin, counts: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Counted {
    origin: Origin,
    counts: Counts,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut by_origin = self.counts.lock();
        if let Some(count) = by_origin.get_mut(&self.origin) {
            *count -= 1;
            if *count == 0 {
                by_origin.remove(&self.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn admission() -> Admission {
        Admission::new(Limits {
            connections_max: 4,
            connections_per_address_max: 2,
            connections_from_loopback_max: 3,
            ..Limits::default()
        })
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let admission = admission();
        let first = admission.enter(ip("192.0.2.1"));
        let _second = admission.enter(ip("192.0.2.1"));
        assert!(admission.enter(ip("192.0.2.1")).is_none());
        let _other = admission.enter(ip("192.0.2.2")).unwrap();
        drop(first);
        assert!(admission.enter(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn one_address_cannot_take_every_seat_of_strangers() {
        let admission = admission();
        let held: Vec<_> = (0..4).map(|_| admission.seat_stranger(ip("192.0.2.1")).unwrap()).collect();
        assert!(admission.seat_stranger(ip("192.0.2.1")).is_none());
        let _other = admission.seat_stranger(ip("192.0.2.2")).unwrap();
        drop(held);
        let _again = admission.seat_stranger(ip("192.0.2.1")).unwrap();
        let _here: Vec<_> = (2..16).map(|_| admission.seat_stranger(ip("127.0.0.1")).unwrap()).collect();
        assert!(admission.seat_stranger(ip("192.0.2.2")).is_none(), "16 in all");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let admission = admission();
        let _held = [admission.enter(ip("2001:db8::1")), admission.enter(ip("2001:db8::2"))];
        assert!(admission.enter(ip("2001:db8::3")).is_none());
        assert!(admission.enter(ip("2001:db8:0:1::3")).is_some());
    }

    #[test]
    fn loopback_has_its_own_limit_within_the_total() {
        let admission = admission();
        let _held: Vec<_> = (0..3).map(|_| admission.enter(ip("127.0.0.1")).unwrap()).collect();
        assert!(admission.enter(ip("127.0.0.1")).is_none());
        let _fourth = admission.enter(ip("192.0.2.1")).unwrap();
        assert!(admission.enter(ip("192.0.2.2")).is_none(), "four in all");
    }

    #[test]
    fn addresses_are_forgotten_with_their_last_connection() {
        let admission = admission();
        drop(admission.enter(ip("192.0.2.1")));
        assert!(admission.by_origin.lock().is_empty());
        let none = Admission::new(Limits { connections_per_address_max: 0, ..Limits::default() });
        assert!(none.enter(ip("192.0.2.1")).is_none());
        assert!(none.by_origin.lock().is_empty());
    }
}
