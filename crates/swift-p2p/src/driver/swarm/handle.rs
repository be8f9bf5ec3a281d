//! How everybody else talks to the swarm's task.

use std::ops::Range;

use serde::Serialize;
use swift_chain::NodeId;
use swift_chunks::FileId;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    events::{Command, Event},
    sends::SendGuard,
};
use crate::swarm::message::{Answer, Confirm, Holdings, Offer, WhoHas};

/// The swarm's task has ended: the node is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the swarm has stopped")]
pub struct Stopped;

/// How far a file is that is on its way here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferState {
    /// Which file.
    pub file: FileId,
    /// Bytes verified or arriving.
    pub done_bytes: u64,
    /// Bytes in the file.
    pub total_bytes: u64,
    /// Whom chunks are coming from now.
    pub peers: Vec<NodeId>,
    /// What is happening.
    pub stage: TransferStage,
    /// Why it is blocked.
    pub detail: Option<String>,
}

/// What is happening with a file that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferStage {
    /// Nothing: nobody who can be reached has offered any of it.
    Waiting,
    /// Chunks are coming, or the file is being finished.
    Receiving,
    /// It cannot be stored here, or not be had at all.
    Blocked,
}

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

    /// A member's request for bytes of a file is about to be served. Waits until they are durable, if they have just
    /// arrived. The guard goes with the body; there is none when the bytes are no part of the swarm's traffic.
    pub async fn send_guard(
        &self,
        to: NodeId,
        file: FileId,
        range: Range<u64>,
    ) -> Result<Option<SendGuard>, Stopped> {
        self.ask(|reply| Command::Send { to, file, range, reply }).await
    }

    /// The members with a whole durable copy: this node, and those that answer within a moment.
    pub async fn copies(&self, file: FileId) -> Result<Vec<NodeId>, Stopped> {
        self.ask(|reply| Command::Copies { file, reply }).await
    }

    /// Files on their way here, as far as the swarm is at them.
    pub async fn transfers(&self) -> Result<Vec<TransferState>, Stopped> {
        self.ask(|reply| Command::Transfers { reply }).await
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
