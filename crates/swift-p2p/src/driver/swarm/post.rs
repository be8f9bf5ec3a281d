//! Messages to peers: small requests, each a task of its own.

use std::{sync::Arc, time::Duration};

use swift_chain::NodeId;
use swift_chunks::FileId;
use tokio::{sync::mpsc, task};
use tracing::debug;

use super::events::Event;
use crate::{
    swarm::{
        ExchangeId,
        message::{Answer, Confirm, Holdings, Message, MessageError, Offer, WhoHas},
    },
    transport::{DialError, PeerClients, PeerResponse},
};

/// From the first byte of a message to the last of its answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Sends messages and reports their answers.
pub(super) struct Post {
    clients: Arc<PeerClients>,
    events: mpsc::UnboundedSender<Event>,
}

#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the answer is no message: {0}")]
    Answer(#[from] MessageError),
}

impl Post {
    pub(super) fn new(clients: Arc<PeerClients>, events: mpsc::UnboundedSender<Event>) -> Self {
        Self { clients, events }
    }

    pub(super) fn offer(&self, to: NodeId, exchange: ExchangeId, offer: &Offer) {
        let (clients, events, body) = (self.clients.clone(), self.events.clone(), offer.encode());
        task::spawn(async move {
            let event = match ask::<Answer>(&clients, to, "/response", body).await {
                Ok(answer) => Event::OfferAnswered { by: to, exchange, answer },
                Err(error) => {
                    debug!(%to, %error, "an offer was not answered");
                    Event::OfferFailed { to, exchange }
                }
            };
            let _ = events.send(event);
        });
    }

    pub(super) fn who_has(&self, to: NodeId, who_has: &WhoHas) {
        let asked: Vec<FileId> = who_has.asks.iter().map(|ask| ask.file).collect();
        let (clients, events, body) = (self.clients.clone(), self.events.clone(), who_has.encode());
        task::spawn(async move {
            let event = match ask::<Holdings>(&clients, to, "/peer/who-has", body).await {
                Ok(holdings) => Event::WhoHasAnswered { by: to, asked, holdings },
                Err(error) => {
                    debug!(%to, %error, "a question was not answered");
                    Event::WhoHasFailed { to, asked }
                }
            };
            let _ = events.send(event);
        });
    }

    /// Until it arrives the sender holds a place for the slice, so it is said again once.
    pub(super) fn confirm(&self, to: NodeId, confirm: Confirm) {
        let (clients, body) = (self.clients.clone(), confirm.encode());
        task::spawn(async move {
            if tell(&clients, to, "/webhook", body.clone()).await.is_err()
                && let Err(error) = tell(&clients, to, "/webhook", body).await
            {
                debug!(%to, %error, "a confirmation was lost");
            }
        });
    }

    pub(super) fn announce(&self, to: NodeId, holdings: &Holdings) {
        let (clients, body) = (self.clients.clone(), holdings.encode());
        task::spawn(async move {
            if let Err(error) = tell(&clients, to, "/peer/announce", body).await {
                debug!(%to, %error, "an announcement was lost");
            }
        });
    }
}

async fn ask<M: Message>(
    clients: &PeerClients,
    to: NodeId,
    path: &str,
    body: Vec<u8>,
) -> Result<M, PostError> {
    let mut response = send(clients, to, path, body).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if bytes.len() + piece.len() > M::BYTES_MAX {
            return Err(MessageError::TooLong { len: bytes.len() + piece.len(), limit: M::BYTES_MAX }.into());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(M::decode(&bytes)?)
}

async fn tell(clients: &PeerClients, to: NodeId, path: &str, body: Vec<u8>) -> Result<(), DialError> {
    // Read to its end, short as it is, so that the connection can be used again.
    send(clients, to, path, body).await?.bytes().await?;
    Ok(())
}

async fn send(
    clients: &PeerClients,
    to: NodeId,
    path: &str,
    body: Vec<u8>,
) -> Result<PeerResponse, DialError> {
    clients.client(&to)?.post(path).timeout(DEADLINE).body(body).send().await?.error_for_status()
}
