//! `peers`: the other members as the node has found them.

use super::pages::all_pages;
use crate::{
    api::Peer,
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, table},
    text::{date, printable, size},
};

pub(crate) async fn list(context: &Context, shown: &Shown) -> Result<(), Error> {
    let what = "cannot list the peers";
    let rows = all_pages(&context.client()?, what, "/v1/peers", "peers", &[]).await?;
    let peers: Vec<Peer> = rows.iter().map(|row| understand(what, row)).collect::<Result<_, _>>()?;
    context.output(shown).show(&rows, || {
        let head =
            ["node id", "address", "connected", "heard", "in", "out", "offences", "last", "isolated until"];
        table(head, peers.into_iter().map(row))
    })
}

fn row(peer: Peer) -> [String; 9] {
    let nothing = || "-".to_owned();
    let connected = if peer.connected { "yes" } else { "no" }.to_owned();
    let counts: Vec<String> =
        peer.offences.iter().map(|(kind, count)| format!("{count} {}", kind.replace('_', " "))).collect();
    let offences = if counts.is_empty() { nothing() } else { counts.join(", ") };
    let last = peer.last_offence.map_or_else(nothing, |last| {
        let kind = last.kind.replace('_', " ");
        format!("{kind} at {}: {}", date::rfc3339(last.at_ms), printable(&last.detail))
    });
    [
        peer.node_id,
        peer.address,
        connected,
        peer.heard_ms.map_or_else(nothing, date::rfc3339),
        size::human(peer.received_bytes),
        size::human(peer.sent_bytes),
        printable(&offences),
        last,
        peer.isolated_until_ms.map_or_else(nothing, date::rfc3339),
    ]
}
