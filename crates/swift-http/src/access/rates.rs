//! How many requests somebody may make, in memory that does not grow with the number of those who ask.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    str::FromStr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use swift_chain::Label;
use swift_p2p::{Allowance, Origin, swarm::Time};

/// So many requests in a row are never too many.
const BURST_MIN: u32 = 20;
/// A burst is as much as the rate allows in this time.
const BURST_TIME: Duration = Duration::from_secs(10);
/// Callers that are remembered, in each of two generations.
const REMEMBERED_MAX: usize = 8_192;

/// How often something may happen: a whole number per second or per minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate(NonZeroU32);

impl RequestRate {
    /// So many per minute.
    pub const fn per_minute(count: NonZeroU32) -> Self {
        Self(count)
    }

    fn interval(self) -> Duration {
        Duration::from_secs(60) / self.0.get()
    }

    /// What may come at once after a rest.
    fn burst(self) -> Duration {
        BURST_TIME.max(self.interval().saturating_mul(BURST_MIN))
    }
}

/// A text that is no rate of requests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rate of requests: write for example 50/s or 60/min, or none")]
pub struct RequestRateError(String);

impl FromStr for RequestRate {
    type Err = RequestRateError;

    fn from_str(text: &str) -> Result<Self, RequestRateError> {
        let read = || {
            let (count, unit) = text.trim().split_once('/')?;
            let count: u32 = count.trim().parse().ok()?;
            let times = match unit.trim() {
                "s" => 60,
                "min" => 1,
                _ => return None,
            };
            // Beyond a million a second nothing is limited.
            let per_minute = count.checked_mul(times).filter(|count| *count <= 60_000_000)?;
            NonZeroU32::new(per_minute).map(Self)
        };
        read().ok_or_else(|| RequestRateError(text.chars().take(40).collect()))
    }
}

/// Limits on the requests of clients; none is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Requests with one token, or in one session.
    pub per_token: Option<RequestRate>,
    /// Requests from one address that show no valid credential.
    pub per_address: Option<RequestRate>,
    /// Wrong credentials from one address.
    pub failures: Option<RequestRate>,
}

impl Default for RequestLimits {
    fn default() -> Self {
        let per_minute = |count| NonZeroU32::new(count).map(RequestRate);
        Self { per_token: per_minute(2_000 * 60), per_address: per_minute(50 * 60), failures: per_minute(60) }
    }
}

/// Too many of something: ask again after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany(pub(crate) Duration);

/// What all clients of a node have asked of late.
pub(crate) struct Rates {
    start: Instant,
    limits: RequestLimits,
    tokens: Mutex<Meter<String>>,
    addresses: Mutex<Meter<Origin>>,
    failures: Mutex<Meter<Origin>>,
}

impl Rates {
    pub(crate) fn new(limits: RequestLimits) -> Self {
        let (tokens, addresses, failures) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { start: Instant::now(), limits, tokens, addresses, failures }
    }

    /// A request with a token.
    pub(crate) fn token(&self, label: &Label, now: Instant) -> Result<(), TooMany> {
        take(&self.tokens, self.limits.per_token, label.as_str().to_owned(), self.time(now))
    }

    /// A request without a valid credential.
    pub(crate) fn address(&self, ip: IpAddr, now: Instant) -> Result<(), TooMany> {
        take(&self.addresses, self.limits.per_address, ip.into(), self.time(now))
    }

    /// A wrong credential.
    pub(crate) fn failure(&self, ip: IpAddr, now: Instant) -> Result<(), TooMany> {
        take(&self.failures, self.limits.failures, ip.into(), self.time(now))
    }

    fn time(&self, now: Instant) -> Time {
        Time::after_start(now.saturating_duration_since(self.start))
    }
}

fn take<K: Eq + Hash>(
    meter: &Mutex<Meter<K>>,
    rate: Option<RequestRate>,
    key: K,
    now: Time,
) -> Result<(), TooMany> {
    rate.map_or(Ok(()), |rate| lock(meter).take(key, rate, now))
}

fn lock<T>(meter: &Mutex<T>) -> MutexGuard<'_, T> {
    // Its maps are whole between any two of their calls.
    meter.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What callers have left. Two generations bound them: when the younger is full, the older is forgotten. Whoever wants to be
/// forgotten needs as many addresses as are remembered, and has those anyway.
struct Meter<K> {
    young: HashMap<K, Allowance>,
    old: HashMap<K, Allowance>,
}

impl<K> Default for Meter<K> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Eq + Hash> Meter<K> {
    fn take(&mut self, key: K, rate: RequestRate, now: Time) -> Result<(), TooMany> {
        let known = self.young.get(&key).or_else(|| self.old.get(&key)).copied();
        let mut allowance = known.unwrap_or_default();
        allowance.take(now, rate.interval(), rate.burst()).map_err(TooMany)?;
        if self.young.len() >= REMEMBERED_MAX && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, allowance);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> RequestRate {
        text.parse().unwrap()
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!(rate("50/s"), RequestRate(NonZeroU32::new(3_000).unwrap()));
        assert_eq!(rate(" 60 / min "), rate("1/s"));
        for text in ["", "50", "0/s", "-1/s", "1/h", "1.5/s", "99999999999/s", "4294967295/s"] {
            assert!(text.parse::<RequestRate>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_and_the_wait_is_told() {
        let (mut meter, start) = (Meter::default(), Time::ZERO);
        let rate = rate("10/s");
        let passed = (0..1_000).filter(|_| meter.take("a", rate, start).is_ok()).count();
        assert_eq!(passed, 100, "ten seconds' worth");
        assert_eq!(meter.take("a", rate, start), Err(TooMany(Duration::from_millis(100))));
        assert_eq!(meter.take("b", rate, start), Ok(()), "somebody else");
        let later = start + Duration::from_millis(500);
        assert_eq!((0..100).filter(|_| meter.take("a", rate, later).is_ok()).count(), 5);
        // A refusal costs nothing, so the wait does not grow.
        assert_eq!(meter.take("a", rate, later), Err(TooMany(Duration::from_millis(100))));
    }

    #[test]
    fn a_slow_rate_lets_twenty_pass() {
        let (mut meter, start) = (Meter::default(), Time::ZERO);
        assert_eq!((0..100).filter(|_| meter.take("a", rate("1/min"), start).is_ok()).count(), 20);
    }

    #[test]
    fn memory_is_bounded_whatever_the_number_of_addresses() {
        let (mut meter, start, rate) = (Meter::default(), Time::ZERO, rate("1/min"));
        for address in 0..10 * REMEMBERED_MAX {
            assert!(meter.take(address, rate, start).is_ok());
            assert!(meter.young.len() <= REMEMBERED_MAX && meter.old.len() <= REMEMBERED_MAX);
        }
        let last = 10 * REMEMBERED_MAX - 1;
        assert_eq!(
            (0..100).filter(|_| meter.take(last, rate, start).is_ok()).count(),
            19,
            "it is remembered"
        );
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let rates =
            Rates::new(RequestLimits { per_address: Some(rate("1/min")), ..RequestLimits::default() });
        let now = Instant::now();
        let ask = |ip: &str| rates.address(ip.parse().unwrap(), now).is_ok();
        for host in 0..20 {
            assert!(ask(&format!("2001:db8::{host:x}")));
        }
        assert!(!ask("2001:db8::ffff"));
        assert!(ask("2001:db8:0:1::1"));
    }

    #[test]
    fn without_a_limit_everything_passes() {
        let none = RequestLimits { per_token: None, per_address: None, failures: None };
        let (rates, now) = (Rates::new(none), Instant::now());
        let ip = IpAddr::from([192, 0, 2, 1]);
        assert!((0..10_000).all(|_| rates.address(ip, now).is_ok() && rates.failure(ip, now).is_ok()));
    }
}
