//! `transfers`: what is coming in and going out, per file and peer.

use super::pages::all_pages;
use crate::{
    api::{Direction, Transfer, TransferPeer},
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, table},
    text::{duration, short, size},
};

pub(crate) async fn run(context: &Context, shown: &Shown) -> Result<(), Error> {
    let what = "cannot list the transfers";
    let rows = all_pages(&context.client()?, what, "/v1/transfers", "transfers", &[]).await?;
    let transfers: Vec<Transfer> = rows.iter().map(|row| understand(what, row)).collect::<Result<_, _>>()?;
    context.output(shown).show(&rows, || {
        let head = ["file", "direction", "peer", "done", "rate", "remaining", "priority", "state"];
        table(head, transfers.iter().flat_map(shown_rows))
    })
}

/// A row of the file as a whole, and one for each peer if there are several.
fn shown_rows(transfer: &Transfer) -> Vec<[String; 8]> {
    let Transfer { file, direction, done_bytes, total_bytes, bytes_per_second, peers, .. } = transfer;
    let (way, done) = match direction {
        Direction::In => {
            let percent = size::percent(*done_bytes, *total_bytes);
            ("in", format!("{} of {} ({percent} %)", size::human(*done_bytes), size::human(*total_bytes)))
        }
        Direction::Out => ("out", size::human(peers.iter().map(|peer| peer.bytes).sum())),
    };
    let whom = match peers.as_slice() {
        [] => "-".to_owned(),
        [peer] => short(&peer.node_id),
        peers => format!("{} nodes", peers.len()),
    };
    let remaining = transfer.remaining_seconds.map_or("-".to_owned(), duration::human);
    let state = match (&*transfer.state, &transfer.detail) {
        (state, Some(detail)) => format!("{state}: {detail}"),
        ("", None) => "sending".to_owned(),
        (state, None) => state.to_owned(),
    };
    let priority = match (&transfer.priority, transfer.readers) {
        (None, _) => "-".to_owned(),
        (Some(_), 1..) => "being read".to_owned(),
        (Some(priority), 0) => priority.clone(),
    };
    let all = [file.clone(), way.to_owned(), whom, done, rate(*bytes_per_second), remaining, priority, state];
    let each = peers.iter().filter(|_| peers.len() > 1).map(|peer| peer_row(file, way, peer));
    std::iter::once(all).chain(each).collect()
}

fn peer_row(file: &str, way: &str, peer: &TransferPeer) -> [String; 8] {
    let TransferPeer { node_id, bytes, bytes_per_second } = peer;
    let nothing = || "-".to_owned();
    let (done, rate) = (size::human(*bytes), rate(*bytes_per_second));
    [file.to_owned(), way.to_owned(), short(node_id), done, rate, nothing(), nothing(), nothing()]
}

fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", size::human(bytes_per_second))
}
