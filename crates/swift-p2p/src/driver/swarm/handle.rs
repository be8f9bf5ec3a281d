//! How everybody else talks to the swarm's task.

use std::ops::Range;

use swift_chain::NodeId;
use swift_chunks::{FileId, HeldPromise, StoreError};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{
    arriving::Arriving,
    copies::FileCopies,
    events::{Command, Event},
    priorities::Prioritized,
    serving::Serving,
    survey::FILES_MAX,
    tally::SwarmTally,
    transfers::{PeerTraffic, Traffic, Transfers},
};
use crate::swarm::{
    Priority, Spread,
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
    stored: broadcast::WeakSender<FileId>,
}

impl SwarmHandle {
    pub(super) fn new(
        me: NodeId,
        commands: mpsc::Sender<Command>,
        events: mpsc::UnboundedSender<Event>,
        status: watch::Receiver<Status>,
        stored: broadcast::WeakSender<FileId>,
    ) -> Self {
        Self { me, commands, events, status, stored }
    }

    /// A member can be reached.
    pub fn peer_online(&self, peer: NodeId) {
        let _ = self.events.send(Event::PeerOnline(peer));
    }

    /// A member cannot be reached, or is none any more.
    pub fn peer_offline(&self, peer: NodeId) {
        let _ = self.events.send(Event::PeerOffline(peer));
    }

    /// A member offers; an answer for each offer.
    pub async fn offers(&self, from: NodeId, offers: Vec<Offer>) -> Result<Vec<Answer>, Stopped> {
        self.ask(|reply| Command::Offers { from, offers, reply }).await
    }

    /// A member asks who has files.
    pub async fn who_has(&self, from: NodeId, who_has: WhoHas) -> Result<Holdings, Stopped> {
        self.ask(|reply| Command::WhoHas { from, who_has, reply }).await
    }

    /// A member confirms.
    pub async fn confirmed(&self, by: NodeId, confirms: Vec<Confirm>) -> Result<(), Stopped> {
        self.tell(Command::Confirmed { by, confirms }).await
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

    /// Says how soon a file is wanted that is on its way; durable when this returns, until the file is here.
    pub async fn set_priority(
        &self,
        file: FileId,
        priority: Priority,
    ) -> Result<Result<Prioritized, StoreError>, Stopped> {
        self.ask(|reply| Command::Prioritize { file, priority, reply }).await
    }

    /// The files on their way that are wanted sooner or later than others.
    pub async fn priorities(&self) -> Result<Vec<(FileId, Priority)>, Stopped> {
        self.ask(|reply| Command::Priorities { reply }).await
    }

    /// A file for somebody who reads it in order: what is read next is fetched first. One that this node does not keep
    /// comes for as long as it is read, if what is wanted of it fits; the error says why it cannot. Nothing if the file is here, or cannot be had.
    pub async fn read(
        &self,
        file: FileId,
        wanted: Vec<Range<u64>>,
    ) -> Result<Result<Option<Arriving>, StoreError>, Stopped> {
        self.ask(|reply| Command::Read { file, wanted: Some(wanted), reply }).await
    }

    /// The same, if the file is on its way already.
    pub async fn arriving(&self, file: FileId) -> Result<Option<Arriving>, Stopped> {
        let read = self.ask(|reply| Command::Read { file, wanted: None, reply }).await?;
        // It begins nothing that could fail.
        Ok(read.unwrap_or_default())
    }

    /// The rule of what this node keeps has changed, or a pin: of this file, or any file's. What is kept now is fetched,
    /// and what is not kept any more is not.
    pub async fn keep_changed(&self, file: Option<FileId>) -> Result<(), Stopped> {
        self.tell(Command::KeepChanged { file }).await
    }

    /// Other members with a whole durable copy that can be reached: those that have said so, or answer within a moment
    /// when none has.
    pub async fn holders(&self, file: FileId) -> Result<Vec<NodeId>, Stopped> {
        let others = |mut known: Vec<FileCopies>| {
            let mut complete = known.pop().unwrap_or_default().complete;
            complete.retain(|holder| *holder != self.me);
            complete
        };
        let known = others(self.known_copies(vec![file]).await?);
        if known.is_empty() { Ok(others(vec![self.copies(file).await?])) } else { Ok(known) }
    }

    /// Whether a file is on its way, is read while it comes, or others were sent some of it of late: it is not let go of.
    pub async fn is_used(&self, file: FileId) -> Result<bool, Stopped> {
        self.ask(|reply| Command::IsUsed { file, reply }).await
    }

    /// Lets go of a file that nothing keeps here, by another's promise, unless it is being transferred. Says whether it
    /// is gone.
    pub async fn evict(&self, promise: HeldPromise) -> Result<bool, Stopped> {
        self.ask(|reply| Command::LetGo { promise, reply }).await
    }

    /// The members with a whole durable copy, and those that do not keep the file: this node, and those that answer
    /// within a moment.
    pub async fn copies(&self, file: FileId) -> Result<FileCopies, Stopped> {
        self.ask(|reply| Command::Survey { files: vec![file], is_new_only: false, reply }).await?;
        Ok(self.known_copies(vec![file]).await?.pop().unwrap_or_default())
    }

    /// Asks everybody who can be reached about files, unless that was done of late, and waits a moment for the answers.
    /// Of very many files only some are asked about.
    pub async fn survey(&self, files: Vec<FileId>) -> Result<(), Stopped> {
        let files = files.into_iter().take(FILES_MAX).collect();
        self.ask(|reply| Command::Survey { files, is_new_only: true, reply }).await
    }

    /// What is known of the copies of each file, in their order, without asking anybody. This node is among those who
    /// are complete if its swarm knows the file.
    pub async fn known_copies(&self, files: Vec<FileId>) -> Result<Vec<FileCopies>, Stopped> {
        self.ask(|reply| Command::Copies { files, reply }).await
    }

    /// Which parts of a file are where, as far as this node knows: its own, and those of members that told.
    pub async fn spread(&self, file: FileId) -> Result<Vec<Spread>, Stopped> {
        self.ask(|reply| Command::Spread { file, reply }).await
    }

    /// What moves: files on their way here, and what others are sent.
    pub async fn transfers(&self) -> Result<Transfers, Stopped> {
        self.ask(|reply| Command::Transfers { reply }).await
    }

    /// How much content has moved since the node started.
    pub async fn traffic(&self) -> Result<Traffic, Stopped> {
        self.ask(|reply| Command::Traffic { reply }).await
    }

    /// The same of each member with whom any was moved.
    pub async fn peer_traffic(&self) -> Result<Vec<PeerTraffic>, Stopped> {
        self.ask(|reply| Command::PeerTraffic { reply }).await
    }

    /// What was done since the node started, and how much is under way.
    pub async fn tally(&self) -> Result<SwarmTally, Stopped> {
        self.ask(|reply| Command::Tally { reply }).await
    }

    /// What keeps content from being stored, if anything does.
    pub fn problem(&self) -> Option<String> {
        self.status.borrow().problem.clone()
    }

    /// Hears of files that are whole here from now on; nothing more when the node is stopping.
    pub fn stored(&self) -> broadcast::Receiver<FileId> {
        self.stored
            .upgrade()
            .map_or_else(|| broadcast::Sender::new(1).subscribe(), |stored| stored.subscribe())
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
