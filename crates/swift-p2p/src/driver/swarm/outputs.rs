//! Doing what the machine asks for.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{
    copies::Saying,
    events::{Event, FetchEnd},
    fetch::Fetch,
    files::Stage,
    owner::{Owner, Running},
};
use crate::{
    offences::Offence,
    swarm::{AbandonReason, FetchFailure, OffenceKind, Output},
};

impl Owner {
    /// Starts what an output asks for. Nothing here waits; results come back as events.
    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Offer { to, exchange, offer } => self.post.offer(to, exchange, offer),
            Output::Answer { exchange, answer, .. } => _ = self.answers.insert(exchange, answer),
            Output::Fetch { from, file, slice } => {
                self.next_fetch += 1;
                let id = self.next_fetch;
                let (stop, arrived) = (CancellationToken::new(), Arc::default());
                let running =
                    Running { id, stop: stop.clone(), arrived: Arc::clone(&arrived), seen: 0, counted: 0 };
                self.fetches.insert((from, file, slice), running);
                let Some(receiving) = self.files.get(&file).and_then(|entry| entry.receiving()) else {
                    let end = FetchEnd::failed(FetchFailure::Refused, "the file is not wanted any more");
                    let _ = self.events.send(Event::Fetched { id, from, file, slice, end });
                    return;
                };
                let (file, is_kept) = (receiving.incoming.clone(), receiving.is_kept);
                self.lanes.fetch(Fetch { id, from, slice, file, arrived, stop, is_kept });
            }
            Output::CancelFetch { from, file, slice } => {
                if let Some(running) = self.end_fetch(from, file, slice) {
                    running.stop.cancel();
                }
            }
            Output::Whole { file, chunk } => self.check_chunk(file, chunk),
            Output::Confirm { to, confirm } => self.post.confirm(to, confirm),
            Output::WhoHas { to, who_has } => self.post.who_has(to, &who_has),
            Output::Holdings { exchange, holdings, .. } => {
                if let Some(reply) = self.questions.remove(&exchange) {
                    let _ = reply.send(holdings);
                }
            }
            Output::Announce { to, holdings } => self.post.announce(to, holdings),
            Output::Completed { file } => {
                if let Some(receiving) = self.files.receiving_mut(&file) {
                    receiving.is_finish_due = true;
                    self.drive_disk(file);
                }
            }
            Output::HeldBy { file, peer } => {
                self.copies.note(file, peer, Some(Saying::Complete));
            }
            Output::Abandoned { file, publisher, reason: AbandonReason::ManifestFalse { chunk } } => {
                error!(%file, %publisher, chunk = chunk.get(), "a member published a false manifest; the file cannot be had");
                let detail = format!("the manifest of file {file} is false; chunk {} proves it", chunk.get());
                self.conduct.note(publisher, Offence::FalseManifest, &detail);
                if let Some(entry) = self.files.get_mut(&file)
                    && let Stage::Receiving(receiving) = std::mem::replace(&mut entry.stage, Stage::Abandoned)
                {
                    receiving.incoming.close();
                }
                self.show_problem();
                // The same bytes may be live under a true manifest as well.
                self.look_for_others();
            }
            Output::Offence { peer, file, kind } => {
                let (offence, slice) = match kind {
                    OffenceKind::WrongBytes { slice } => (Offence::WrongBytes, Some(slice)),
                    OffenceKind::NotThere { slice } => (Offence::NotThere, Some(slice)),
                    OffenceKind::Stalled { slice } => (Offence::Stalled, Some(slice)),
                    OffenceKind::Malformed => (Offence::Malformed, None),
                };
                let detail = match slice {
                    Some(slice) => {
                        format!("file {file}, chunk {}, slice {}", slice.chunk().get(), slice.number())
                    }
                    None => format!("a map or an answer that does not fit file {file}"),
                };
                self.conduct.note(peer, offence, &detail);
            }
        }
    }
}
