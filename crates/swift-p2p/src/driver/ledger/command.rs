//! What the ledger's thread is asked to do, and who waits for the answer.

use std::collections::HashMap;

use swift_chain::{
    Action, CheckedTransaction, FollowError, Input, Label, NodeId, RequestId, SealedBlock, Settled,
    SignedTransaction, SubmitError, consensus::ConsensusMessage,
};
use tokio::sync::oneshot;

use super::turns::{Place, Turn};

/// What the ledger's thread is asked to do.
pub(super) enum Command {
    Submit {
        action: Action,
        label: Option<Label>,
        /// Told when the step that took it is durable.
        queued: oneshot::Sender<()>,
        reply: oneshot::Sender<Result<Settled, SubmitError>>,
    },
    /// Which of these are worth checking? Answered between steps.
    Sift(Sift),
    Transactions {
        turn: Turn,
        transactions: Vec<CheckedTransaction>,
        reply: oneshot::Sender<()>,
    },
    Follow {
        place: Place,
        blocks: Vec<SealedBlock>,
        reply: oneshot::Sender<Result<u64, FollowError>>,
    },
    Consensus {
        turn: Turn,
        from: NodeId,
        messages: Vec<ConsensusMessage>,
        reply: oneshot::Sender<()>,
    },
    EndHold,
    Tick,
}

/// Transactions of another member that may be worth checking.
pub(super) struct Sift {
    pub(super) turn: Turn,
    pub(super) transactions: Vec<SignedTransaction>,
    /// Gets those that are.
    pub(super) reply: oneshot::Sender<(Turn, Vec<SignedTransaction>)>,
}

/// Requests whose answers have not come.
#[derive(Default)]
pub(super) struct Waiting {
    next: u64,
    /// Answered before the next step.
    pub(super) sifts: Vec<Sift>,
    pub(super) submits: HashMap<RequestId, oneshot::Sender<Result<Settled, SubmitError>>>,
    pub(super) follows: HashMap<RequestId, oneshot::Sender<Result<u64, FollowError>>>,
    /// Whose transactions, messages or writes the running step takes.
    received: Vec<oneshot::Sender<()>>,
    /// What the running step takes counts as waiting until it ends.
    turns: Vec<Turn>,
    places: Vec<Place>,
}

impl Waiting {
    fn next_request(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }

    /// Adds a command to the inputs of the next step. Who sent it waits from now on.
    pub(super) fn add(&mut self, command: Command, inputs: &mut Vec<Input>) {
        match command {
            Command::Submit { action, label, queued, reply } => {
                let request = self.next_request();
                self.received.push(queued);
                self.submits.insert(request, reply);
                inputs.push(Input::Submit { request, action, on_behalf_of: label });
            }
            Command::Sift(sift) => self.sifts.push(sift),
            Command::Transactions { turn, transactions, reply } => {
                self.received.push(reply);
                self.turns.push(turn);
                inputs.push(Input::Checked(transactions));
            }
            Command::Follow { place, blocks, reply } => {
                let request = self.next_request();
                self.places.push(place);
                self.follows.insert(request, reply);
                inputs.push(Input::Blocks { request, blocks });
            }
            Command::Consensus { turn, from, messages, reply } => {
                self.received.push(reply);
                self.turns.push(turn);
                inputs.extend(messages.into_iter().map(|message| Input::Consensus { from, message }));
            }
            Command::EndHold => inputs.push(Input::EndHold),
            Command::Tick => inputs.push(Input::Tick),
        }
    }

    /// The step is durable. Who asked may be gone meanwhile.
    pub(super) fn end_step(&mut self) {
        // First the turns: who is answered may go on at once.
        self.turns.clear();
        self.places.clear();
        for reply in self.received.drain(..) {
            let _ = reply.send(());
        }
    }
}
