//! The machine's numbers by their names, so that a run can try others.

use std::{fmt, str::FromStr, time::Duration};

use swift_p2p::swarm::Config;

/// One number of [`Config`] and its value: `credit_running=8`, `busy_wait=20..500` (milliseconds).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    name: String,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Number(u64),
    Span(u64, u64),
}

/// What is no setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not of this form.
    #[error("`{0}` is no setting; write for example credit_running=8, or busy_wait=20..500 (milliseconds)")]
    Form(String),
    /// There is no such number.
    #[error("there is no number `{name}`; there are {known}")]
    Name {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A number where two bounds belong, or the other way round.
    #[error("`{0}` takes {1}")]
    Kind(String, &'static str),
}

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let form = || SettingError::Form(text.to_owned());
        let number = |text: &str| text.trim().replace('_', "").parse::<u64>().map_err(|_| form());
        let (name, value) = text.split_once('=').ok_or_else(form)?;
        let value = match value.split_once("..") {
            Some((low, high)) => Value::Span(number(low)?, number(high)?),
            None => Value::Number(number(value)?),
        };
        let setting = Self { name: name.trim().to_owned(), value };
        setting.apply(&mut Config::default())?;
        Ok(setting)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Value::Number(number) => write!(f, "{}={number}", self.name),
            Value::Span(low, high) => write!(f, "{}={low}..{high}", self.name),
        }
    }
}

/// Lists the fields of [`Config`] once: counts, times in milliseconds, and bounds of times.
macro_rules! numbers {
    (counts: $($count:ident)*; times: $($time:ident)*; spans: $($span:ident)*;) => {
        const KNOWN: &[&str] = &[$(stringify!($count),)* $(stringify!($time),)* $(stringify!($span)),*];

        impl Setting {
            /// Puts the number in its place.
            pub fn apply(&self, config: &mut Config) -> Result<(), SettingError> {
                match (self.name.as_str(), self.value) {
                    $((stringify!($count), Value::Number(number)) => {
                        config.$count = number.try_into().map_err(|_| self.kind("a smaller number"))?;
                    })*
                    $((stringify!($time), Value::Number(ms)) => config.$time = Duration::from_millis(ms),)*
                    $((stringify!($span), Value::Span(low, high)) => {
                        config.$span = (Duration::from_millis(low), Duration::from_millis(high));
                    })*
                    (name, value) if KNOWN.contains(&name) => {
                        let takes = matches!(value, Value::Number(_));
                        return Err(self.kind(if takes { "two bounds, as in 20..500" } else { "one number" }));
                    }
                    (name, _) => {
                        return Err(SettingError::Name { name: name.to_owned(), known: KNOWN.join(", ") });
                    }
                }
                Ok(())
            }
        }
    };
}

numbers! {
    counts: fast_uplink credit_running credit_ahead credit_bytes credit_least credit_max sends_per_peer sends_first alternatives slice_level_first
        slices_per_file slices_to_grow fetches_max fetches_limit fetches_reserved fetches_per_source_max
        neighbours_max active_files_max peers_max views_per_peer_max view_bytes_per_peer_max view_bytes_max
        map_bytes_cheap;
    times: warm slice_time slice_time_max map_again answer_timeout_min accept_timeout send_stall confirm_timeout
        race_after_min starved_after ask_timeout storage_wait;
    spans: busy_wait decline_wait fetch_stall cool_off ask_again;
}

impl Setting {
    fn kind(&self, takes: &'static str) -> SettingError {
        SettingError::Kind(self.name.clone(), takes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, SettingError> {
        let mut config = Config::default();
        text.parse::<Setting>()?.apply(&mut config)?;
        Ok(config)
    }

    #[test]
    fn numbers_are_set_by_name() {
        assert_eq!(config("credit_running=9").unwrap().credit_running, 9);
        assert_eq!(config("map_again=250").unwrap().map_again, Duration::from_millis(250));
        let bounds = (Duration::from_millis(20), Duration::from_millis(500));
        assert_eq!(config("busy_wait=20..500").unwrap().busy_wait, bounds);
    }

    #[test]
    fn what_is_no_setting_is_refused_with_a_reason() {
        assert!(matches!(config("credit_running"), Err(SettingError::Form(_))));
        assert!(matches!(config("credit_running=many"), Err(SettingError::Form(_))));
        assert!(matches!(config("credit=4"), Err(SettingError::Name { .. })));
        assert!(matches!(config("credit_running=1..2"), Err(SettingError::Kind(..))));
        assert!(matches!(config("busy_wait=1"), Err(SettingError::Kind(..))));
    }
}
