//! What the ledger's thread is asked to do, and who waits for the answer.

use std::collections::HashMap;

use swift_chain::{
    Action, FollowError, Input, Label, NodeId, RequestId, SealedBlock, Settled, SignedTransaction,
    SubmitError, consensus::ConsensusMessage,
};
use tokio::sync::oneshot;

/// What the ledger's thread is asked to do.
pub(super) enum Command {
    Submit {
        action: Action,
        label: Option<Label>,
        /// Told when the step that took it is durable.
        queued: oneshot::Sender<()>,
        reply: oneshot::Sender<Result<Settled, SubmitError>>,
    },
    Transactions {
        transactions: Vec<SignedTransaction>,
        reply: oneshot::Sender<()>,
    },
    Follow {
        blocks: Vec<SealedBlock>,
        reply: oneshot::Sender<Result<u64, FollowError>>,
    },
    Consensus {
        from: NodeId,
        message: ConsensusMessage,
    },
    EndHold,
    Tick,
}

/// Requests whose answers have not come.
#[derive(Default)]
pub(super) struct Waiting {
    next: u64,
    pub(super) submits: HashMap<RequestId, oneshot::Sender<Result<Settled, SubmitError>>>,
    pub(super) follows: HashMap<RequestId, oneshot::Sender<Result<u64, FollowError>>>,
    /// Whose transactions or writes the running step takes.
    pub(super) received: Vec<oneshot::Sender<()>>,
}

impl Waiting {
    fn next_request(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }

    /// The command as an input of the replica. Who sent it waits from now on.
    pub(super) fn input(&mut self, command: Command) -> Input {
        match command {
            Command::Submit { action, label, queued, reply } => {
                let request = self.next_request();
                self.received.push(queued);
                self.submits.insert(request, reply);
                Input::Submit { request, action, on_behalf_of: label }
            }
            Command::Transactions { transactions, reply } => {
                self.received.push(reply);
                Input::Transactions(transactions)
            }
            Command::Follow { blocks, reply } => {
                let request = self.next_request();
                self.follows.insert(request, reply);
                Input::Blocks { request, blocks }
            }
            Command::Consensus { from, message } => Input::Consensus { from, message },
            Command::EndHold => Input::EndHold,
            Command::Tick => Input::Tick,
        }
    }
}
