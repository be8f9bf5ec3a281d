//! Where a node listens, and where others reach it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use swift_chain::Address;

use super::{
    Args, ConfigError, ConfigSource, DEFAULT_MACHINE_IP, FileSettings,
    layers::{Layers, bad},
};

/// Where others reach this machine: the first place that says so, as an address or as the wish to find it.
pub(super) fn host(
    args: &Args,
    layers: &Layers<'_>,
    settings: Option<&FileSettings>,
) -> Result<(String, ConfigSource), ConfigError> {
    let variables = ["SWIFTSERVE_MACHINE_IP", "MACHINE_IP"];
    if let Some(ip) = &args.machine_ip {
        return Ok((ip.clone(), ConfigSource::Flag("machine-ip")));
    }
    if args.auto_detect_ip {
        return detect_ip();
    }
    if let Some(found) = layers.text("machine-ip", None, &variables, None) {
        return Ok(found);
    }
    let in_file = settings.and_then(|settings| settings.machine_ip.as_deref());
    match layers.switch(&["SWIFTSERVE_AUTO_DETECT_IP", "AUTO_DETECT_IP"])? {
        Some(true) => return detect_ip(),
        Some(false) => {}
        None if in_file.is_none() && settings.and_then(|settings| settings.auto_detect_ip) == Some(true) => {
            return detect_ip();
        }
        None => {}
    }
    let found = layers.text("machine_ip", None, &[], in_file);
    Ok(found.unwrap_or_else(|| (DEFAULT_MACHINE_IP.to_owned(), ConfigSource::Default)))
}

pub(super) fn parse_port(text: &str, from: ConfigSource) -> Result<u16, ConfigError> {
    match text.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(bad(from)(format!("{text:?} is no port: a number from 1 to 65535"))),
    }
}

pub(super) fn default_bind(address: &Address) -> IpAddr {
    match (address.is_loopback(), address.ip()) {
        (true, Some(ip)) => ip,
        (true, None) => Ipv4Addr::LOCALHOST.into(),
        (false, Some(IpAddr::V6(_))) => Ipv6Addr::UNSPECIFIED.into(),
        (false, _) => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// The address from which this machine would send to others. Connecting a UDP socket sends nothing; the target is an
/// address reserved for documentation (RFC 5737).
fn detect_ip() -> Result<(String, ConfigSource), ConfigError> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(ConfigError::NoAddress)?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).map_err(ConfigError::NoAddress)?;
    let found = socket.local_addr().map_err(ConfigError::NoAddress)?.ip();
    Ok((found.to_string(), ConfigSource::Default))
}
