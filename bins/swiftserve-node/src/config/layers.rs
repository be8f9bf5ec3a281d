//! Where a setting is looked for, and in which order.

use std::{fmt, path::Path, str::FromStr};

use super::{CONFIG_FILE, ConfigError, ConfigSource};

/// Finds a setting in flags, environment and file.
pub(super) struct Layers<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    pub(super) file: Option<&'a Path>,
}

impl Layers<'_> {
    pub(super) fn text(
        &self,
        name: &'static str,
        flag: Option<&str>,
        variables: &[&'static str],
        in_file: Option<&str>,
    ) -> Option<(String, ConfigSource)> {
        if let Some(text) = flag {
            return Some((text.to_owned(), ConfigSource::Flag(name)));
        }
        for variable in variables {
            // An empty variable is how scripts leave one out.
            if let Some(text) = (self.environment)(variable).filter(|text| !text.is_empty()) {
                return Some((text, ConfigSource::Environment(variable)));
            }
        }
        let path = self.file.unwrap_or(Path::new(CONFIG_FILE)).to_owned();
        in_file.map(|text| (text.to_owned(), ConfigSource::File(path, name)))
    }

    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(
        &self,
        name: &'static str,
        flag: Option<&str>,
        variables: &[&'static str],
        in_file: Option<&str>,
    ) -> Result<Option<T>, ConfigError> {
        let found = self.text(name, flag, variables, in_file);
        found.map(|(text, from)| text.parse().map_err(bad(from))).transpose()
    }

    pub(super) fn switch(&self, variables: &[&'static str]) -> Result<Option<bool>, ConfigError> {
        let Some((text, from)) = self.text("", None, variables, None) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(Some(true)),
            "0" | "false" | "no" | "off" => Ok(Some(false)),
            _ => Err(bad(from)(format!("{text:?} is neither 1 nor 0"))),
        }
    }
}

/// What becomes of a value that does not parse.
pub(super) fn bad<E: fmt::Display>(from: ConfigSource) -> impl FnOnce(E) -> ConfigError {
    move |error| ConfigError::Value { from, reason: error.to_string() }
}
