//! How everybody else talks to the swarm's task.

use std::ops::Range;

use swift_chain::NodeId;
use swift_chunks::{ChunkIndex, FileId};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    events::{Command, Event},
    serving::Serving,
    transfers::{Traffic, Transfers},
};
use crate::swarm::{
    Priority,
    message::{Answer, Confirm, Holdings, Offer, WhoHas},
};

/// The swarm's task has ended: the node is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the swarm has stopped")]
pub struct Stopped;

/// What anybody may know at any time.
#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    pub(super) problem: Option<String>,
}

/// Talks to the swarm's task. Cheap to clone; the task ends when the last clone is gone.
#[derive(Clone, Debug)]
pub struct SwarmHandle {
    me: NodeId,
    commands: mpsc::Sender<Command>,
    events: mpsc::UnboundedSender<Event>,
    status: watch::Receiver<Status>,
}

impl SwarmHandle {
    pub(super) fn new(
        me: NodeId,
        commands: mpsc::Sender<Command>,
        events: mpsc::UnboundedSender<Event>,
        status: watch::Receiver<Status>,
    ) -> Self {
        Self { me, commands, events, status }
    }

    /// A member can be reached.
    pub fn peer_online(&self, peer: NodeId) {
        let _ = self.events.send(Event::PeerOnline(peer));
    }

    /// A member cannot be reached, or is none any more.
    pub fn peer_offline(&self, peer: NodeId) {
        let _ = self.events.send(Event::PeerOffline(peer));
    }

    /// A member offers.
    pub async fn offer(&self, from: NodeId, offer: Offer) -> Result<Answer, Stopped> {
        self.ask(|reply| Command::Offer { from, offer, reply }).await
    }

    /// A member asks who has files.
    pub async fn who_has(&self, from: NodeId, who_has: WhoHas) -> Result<Holdings, Stopped> {
        self.ask(|reply| Command::WhoHas { from, who_has, reply }).await
    }

    /// A member confirms.
    pub async fn confirmed(&self, by: NodeId, confirm: Confirm) -> Result<(), Stopped> {
        self.tell(Command::Confirmed { by, confirm }).await
    }

    /// A member tells what it has.
    pub async fn announced(&self, from: NodeId, holdings: Holdings) -> Result<(), Stopped> {
        self.tell(Command::Announced { from, holdings }).await
    }

    /// Somebody says that a file can be had: all who can be reached are asked.
    pub async fn hint(&self, file: FileId) -> Result<(), Stopped> {
        self.tell(Command::Hint { file }).await
    }

    /// A member's request for bytes of a file is about to be served. If they are a slice, the swarm counts it as sent
    /// when what this gives is dropped, or its guard.
    pub async fn serve(&self, to: NodeId, file: FileId, range: Range<u64>) -> Result<Serving, Stopped> {
        self.ask(|reply| Command::Serve { to, file, range, reply }).await
    }

    /// How soon a file is wanted, until it is here or the node stops.
    pub async fn set_priority(&self, file: FileId, priority: Priority) -> Result<(), Stopped> {
        self.tell(Command::Prioritize { file, priority }).await
    }

    /// Somebody reads a file in order that is still on its way, and waits for this chunk; none when nobody does any
    /// more. One reader per file is followed, the last that said something.
    pub async fn reading_at(&self, file: FileId, chunk: Option<ChunkIndex>) -> Result<(), Stopped> {
        self.tell(Command::ReadingAt { file, chunk }).await
    }

    /// The members with a whole durable copy: this node, and those that answer within a moment.
    pub async fn copies(&self, file: FileId) -> Result<Vec<NodeId>, Stopped> {
        self.ask(|reply| Command::Copies { file, reply }).await
    }

    /// What moves: files on their way here, and what others are sent.
    pub async fn transfers(&self) -> Result<Transfers, Stopped> {
        self.ask(|reply| Command::Transfers { reply }).await
    }

    /// How much content has moved since the node started.
    pub async fn traffic(&self) -> Result<Traffic, Stopped> {
        self.ask(|reply| Command::Traffic { reply }).await
    }

    /// What keeps content from being stored, if anything does.
    pub fn problem(&self) -> Option<String> {
        self.status.borrow().problem.clone()
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.me
    }

    async fn tell(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| Stopped)
    }
}
