//! Messages to peers: small requests, each a task of its own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use swift_chain::NodeId;
use swift_chunks::FileId;
use tokio::{sync::mpsc, task};
use tracing::debug;

use super::events::Event;
use crate::{
    driver::conduct::Conduct,
    offences::Offence,
    swarm::{
        ExchangeId,
        message::{
            Answer, Confirm, FILES_PER_MESSAGE_MAX, HELD_BYTES_MAX, Holding, Holdings, Map, Message,
            MessageError, Offer, TOGETHER_MAX, WhoHas,
        },
    },
    transport::{DialError, PeerClients, PeerResponse},
};

/// From the first byte of a message to the last of its answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Requests with offers, and with confirmations, that are under way to one peer at once: as many as there are connections
/// that stay open. What comes up meanwhile goes together in the next.
const EXCHANGES_MAX: usize = 4;
/// Bytes that are read of the answer to a message that needs none.
const RECEIPT_LEN_MAX: usize = 64 * 1024;
/// Announcements, for which nobody waits.
const ANNOUNCEMENTS_MAX: usize = 1;
/// Files that wait to be announced to a peer that does not answer; of more the oldest are not announced.
const WAITING_MAX: usize = 4096;

/// Sends messages and reports their answers. What is said to one peer in one turn goes together.
pub(super) struct Post {
    clients: Arc<PeerClients>,
    conduct: Conduct,
    events: mpsc::UnboundedSender<Event>,
    offers: BTreeMap<NodeId, Queue<(ExchangeId, Offer)>>,
    confirms: BTreeMap<NodeId, Queue<Confirm>>,
    announcements: BTreeMap<NodeId, Queue<Holding>>,
}

/// What is said in requests of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Offers,
    Confirms,
    Announcement,
}

/// What is to be said to one peer.
struct Queue<T> {
    waiting: Vec<T>,
    under_way: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: Vec::new(), under_way: 0 }
    }
}

impl<T> Queue<T> {
    /// The next that go together: at most so many, and so many bytes; one that is longer goes by itself.
    fn next(&mut self, (count_max, bytes_max): (usize, usize), len: impl Fn(&T) -> usize) -> Vec<T> {
        let mut bytes = 0;
        let fits = |item: &&T| {
            bytes += len(item);
            bytes <= bytes_max
        };
        let count = self.waiting.iter().take(count_max).take_while(fits).count().max(1);
        self.under_way += 1;
        self.waiting.drain(..count.min(self.waiting.len())).collect()
    }

    /// Whether something can go now.
    fn is_due(&self, under_way_max: usize) -> bool {
        !self.waiting.is_empty() && self.under_way < under_way_max
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way == 0
    }
}

#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the answer is no message: {0}")]
    Answer(#[from] MessageError),
    #[error("{answers} answers to {questions} messages")]
    Count { questions: usize, answers: usize },
}

impl PostError {
    /// Whether it is the member's doing, and not the way's.
    fn is_offence(&self) -> bool {
        !matches!(self, Self::Dial(_))
    }
}

impl Post {
    pub(super) fn new(
        clients: Arc<PeerClients>,
        conduct: Conduct,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        let (offers, confirms, announcements) = Default::default();
        Self { clients, conduct, events, offers, confirms, announcements }
    }

    /// Whom it tells of offences.
    pub(super) fn conduct(&self) -> &Conduct {
        &self.conduct
    }

    /// Goes out with [`Self::flush`].
    pub(super) fn offer(&mut self, to: NodeId, exchange: ExchangeId, offer: Offer) {
        self.offers.entry(to).or_default().waiting.push((exchange, offer));
    }

    /// Goes out with [`Self::flush`].
    pub(super) fn confirm(&mut self, to: NodeId, confirm: Confirm) {
        self.confirms.entry(to).or_default().waiting.push(confirm);
    }

    /// Goes out with [`Self::flush`].
    pub(super) fn announce(&mut self, to: NodeId, holdings: Holdings) {
        let waiting = &mut self.announcements.entry(to).or_default().waiting;
        waiting.extend(holdings.holdings);
        waiting.drain(..waiting.len().saturating_sub(WAITING_MAX));
    }

    /// A request has ended.
    pub(super) fn ended(&mut self, to: NodeId, kind: Kind) {
        let under_way = match kind {
            Kind::Offers => self.offers.get_mut(&to).map(|queue| &mut queue.under_way),
            Kind::Confirms => self.confirms.get_mut(&to).map(|queue| &mut queue.under_way),
            Kind::Announcement => self.announcements.get_mut(&to).map(|queue| &mut queue.under_way),
        };
        if let Some(under_way) = under_way {
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// A peer is gone: what waits for it is not said. The machine knows that its offers have no answer.
    pub(super) fn forget(&mut self, peer: &NodeId) {
        self.offers.get_mut(peer).into_iter().for_each(|queue| queue.waiting.clear());
        self.confirms.get_mut(peer).into_iter().for_each(|queue| queue.waiting.clear());
        self.announcements.get_mut(peer).into_iter().for_each(|queue| queue.waiting.clear());
    }

    /// Sends what was said since, in as few requests as hold it.
    pub(super) fn flush(&mut self) {
        let (mut offers, mut confirms, mut announcements) = (Vec::new(), Vec::new(), Vec::new());
        for (&to, queue) in &mut self.offers {
            while queue.is_due(EXCHANGES_MAX) {
                let bounds = (TOGETHER_MAX, Offer::TOGETHER_BYTES_MAX);
                offers.push((to, queue.next(bounds, |(_, offer)| offer.encoded_len())));
            }
        }
        for (&to, queue) in &mut self.confirms {
            while queue.is_due(EXCHANGES_MAX) {
                let bounds = (TOGETHER_MAX, Confirm::TOGETHER_BYTES_MAX);
                confirms.push((to, queue.next(bounds, Confirm::encoded_len)));
            }
        }
        for (&to, queue) in &mut self.announcements {
            while queue.is_due(ANNOUNCEMENTS_MAX) {
                let len = |holding: &Holding| holding.map.as_ref().map_or(0, Map::held_len);
                announcements.push((to, queue.next((FILES_PER_MESSAGE_MAX, HELD_BYTES_MAX), len)));
            }
        }
        offers.into_iter().for_each(|(to, offers)| self.send_offers(to, offers));
        confirms.into_iter().for_each(|(to, confirms)| self.send_confirms(to, &confirms));
        announcements
            .into_iter()
            .for_each(|(to, holdings)| self.send_announcement(to, &Holdings { holdings }));
        self.offers.retain(|_, queue| !queue.is_idle());
        self.confirms.retain(|_, queue| !queue.is_idle());
        self.announcements.retain(|_, queue| !queue.is_idle());
    }

    fn send_offers(&self, to: NodeId, offers: Vec<(ExchangeId, Offer)>) {
        let body = Offer::encode_all(offers.iter().map(|(_, offer)| offer));
        let exchanges: Vec<ExchangeId> = offers.into_iter().map(|(exchange, _)| exchange).collect();
        let (clients, events, conduct) = (self.clients.clone(), self.events.clone(), self.conduct.clone());
        task::spawn(async move {
            match ask::<Answer>(&clients, to, "/response", body).await {
                Ok(answers) if answers.len() == exchanges.len() => {
                    for (exchange, answer) in exchanges.into_iter().zip(answers) {
                        let _ = events.send(Event::OfferAnswered { by: to, exchange, answer });
                    }
                }
                outcome => {
                    let questions = exchanges.len();
                    let count = |answers: Vec<_>| PostError::Count { questions, answers: answers.len() };
                    note_failure(&conduct, to, "an offer", &outcome.map_or_else(|error| error, count));
                    for exchange in exchanges {
                        let _ = events.send(Event::OfferFailed { to, exchange });
                    }
                }
            }
            let _ = events.send(Event::Posted { to, kind: Kind::Offers });
        });
    }

    pub(super) fn who_has(&self, to: NodeId, who_has: &WhoHas) {
        let asked: Vec<FileId> = who_has.asks.iter().map(|ask| ask.file).collect();
        let (clients, events, body) = (self.clients.clone(), self.events.clone(), who_has.encode());
        let conduct = self.conduct.clone();
        task::spawn(async move {
            let answers = ask::<Holdings>(&clients, to, "/peer/who-has", body).await;
            let one = |answers: Vec<Holdings>| {
                <[Holdings; 1]>::try_from(answers)
                    .map_err(|answers| PostError::Count { questions: 1, answers: answers.len() })
            };
            let event = match answers.and_then(one) {
                Ok([holdings]) => Event::WhoHasAnswered { by: to, asked, holdings },
                Err(error) => {
                    note_failure(&conduct, to, "a question", &error);
                    Event::WhoHasFailed { to, asked }
                }
            };
            let _ = events.send(event);
        });
    }

    /// Until they arrive the sender holds a place for each slice, so they are said again once.
    fn send_confirms(&self, to: NodeId, confirms: &[Confirm]) {
        let (clients, events) = (self.clients.clone(), self.events.clone());
        let body = Confirm::encode_all(confirms);
        task::spawn(async move {
            if tell(&clients, to, "/webhook", body.clone()).await.is_err()
                && let Err(error) = tell(&clients, to, "/webhook", body).await
            {
                debug!(%to, %error, "confirmations were lost");
            }
            let _ = events.send(Event::Posted { to, kind: Kind::Confirms });
        });
    }

    fn send_announcement(&self, to: NodeId, holdings: &Holdings) {
        let (clients, events, body) = (self.clients.clone(), self.events.clone(), holdings.encode());
        task::spawn(async move {
            if let Err(error) = tell(&clients, to, "/peer/announce", body).await {
                debug!(%to, %error, "an announcement was lost");
            }
            let _ = events.send(Event::Posted { to, kind: Kind::Announcement });
        });
    }
}

async fn ask<M: Message>(
    clients: &PeerClients,
    to: NodeId,
    path: &str,
    body: Vec<u8>,
) -> Result<Vec<M>, PostError> {
    let mut response = send(clients, to, path, body).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await? {
        let len = bytes.len() + piece.len();
        if len > M::TOGETHER_BYTES_MAX {
            return Err(MessageError::TooLong { len, limit: M::TOGETHER_BYTES_MAX }.into());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(M::decode_all(&bytes)?)
}

async fn tell(clients: &PeerClients, to: NodeId, path: &str, body: Vec<u8>) -> Result<(), DialError> {
    let mut response = send(clients, to, path, body).await?;
    // Read to its end, short as it is, so that the connection can be used again; and not kept, however long it is.
    let mut len = 0;
    while let Some(piece) = response.chunk().await?
        && len <= RECEIPT_LEN_MAX
    {
        len += piece.len();
    }
    Ok(())
}

fn note_failure(conduct: &Conduct, to: NodeId, what: &str, error: &PostError) {
    debug!(%to, %error, "{what} was not answered");
    if error.is_offence() {
        conduct.note(to, Offence::Malformed, &format!("its answer to {what}: {error}"));
    }
}

async fn send(
    clients: &PeerClients,
    to: NodeId,
    path: &str,
    body: Vec<u8>,
) -> Result<PeerResponse, DialError> {
    clients.client(&to)?.post(path).timeout(DEADLINE).body(body).send().await?.error_for_status()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(lens: &[usize]) -> Queue<usize> {
        Queue { waiting: lens.to_vec(), under_way: 0 }
    }

    #[test]
    fn what_waits_goes_in_as_few_requests_as_hold_it_and_in_order() {
        let mut queue = queue(&[3, 3, 3, 9, 1, 1]);
        let mut next = || queue.next((2, 7), |len| *len);
        // Bounded by the count, by the bytes, and one that is longer than all goes by itself.
        assert_eq!(next(), [3, 3]);
        assert_eq!(next(), [3]);
        assert_eq!(next(), [9]);
        assert_eq!(next(), [1, 1]);
        assert_eq!((queue.waiting.len(), queue.under_way), (0, 4));
    }

    #[test]
    fn no_more_requests_than_may_be_are_under_way_to_one_peer() {
        let mut queue = queue(&[1; 100]);
        let mut sent = 0;
        while queue.is_due(EXCHANGES_MAX) {
            queue.next((10, 100), |len| *len);
            sent += 1;
        }
        assert_eq!((sent, queue.waiting.len()), (EXCHANGES_MAX, 60));
        queue.under_way -= 1;
        assert!(queue.is_due(EXCHANGES_MAX) && !queue.is_idle());
    }
}
