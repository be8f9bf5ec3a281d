//! Limits on what moves between members, as people write them.

use swift_p2p::driver::{ConnectionsAllowed, LimitSettings, RateLimit};

use super::{Args, ConfigError, FileSettings, layers::Layers};

/// What flags, environment and file say of them.
pub(super) fn settings(
    args: &Args,
    layers: &Layers<'_>,
    settings: Option<&FileSettings>,
) -> Result<LimitSettings, ConfigError> {
    let in_file = |pick: fn(&FileSettings) -> Option<&str>| settings.and_then(pick);
    let up = layers.parsed::<RateLimit>(
        "limit-up",
        args.limit_up.as_deref(),
        &["SWIFTSERVE_LIMIT_UP"],
        in_file(|file| file.limit_up.as_deref()),
    )?;
    let down = layers.parsed::<RateLimit>(
        "limit-down",
        args.limit_down.as_deref(),
        &["SWIFTSERVE_LIMIT_DOWN"],
        in_file(|file| file.limit_down.as_deref()),
    )?;
    let connections = layers.parsed::<ConnectionsAllowed>(
        "limit-connections",
        args.limit_connections.as_deref(),
        &["SWIFTSERVE_LIMIT_CONNECTIONS"],
        in_file(|file| file.limit_connections.as_deref()),
    )?;
    Ok(LimitSettings {
        up: up.and_then(|RateLimit(limit)| limit),
        down: down.and_then(|RateLimit(limit)| limit),
        connections: connections.and_then(|ConnectionsAllowed(limit)| limit),
    })
}
