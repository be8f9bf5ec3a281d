//! The member's side: who may come in.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use swift_chain::{BlockContext, JudgeError, NodeId, Rejection, Settled, Transaction, judge_action};
use tokio::{sync::Semaphore, time::timeout};
use tracing::info;

use super::JoinOffer;
use crate::{
    driver::{Finality, LedgerError, LedgerHandle, NotFinal, wall_clock_ms},
    transport::Dialer,
};

/// Requests looked at at once. Strangers send these, so they may cost little.
const DESK_PLACES: usize = 8;
/// Dial-backs that one invitation may cause.
const DIAL_BACKS_PER_INVITATION: u32 = 16;
/// Invitations that are counted; with more, counting begins anew.
const INVITATIONS_COUNTED_MAX: usize = 4096;
/// How long the joiner has to answer when it is dialled back.
const DIAL_BACK_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes requests to join. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JoinDesk {
    me: NodeId,
    ledger: LedgerHandle,
    finality: Finality,
    dialer: Dialer,
    places: Arc<Semaphore>,
    /// Dial-backs by invitation.
    attempts: Arc<Mutex<BTreeMap<[u8; 16], u32>>>,
}

/// Why a node was not taken in. The ledger is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefusal {
    /// The request is for another key than the one that sends it.
    #[error("the request to join is for {0}, another key than the one that sends it")]
    OtherKey(NodeId),
    /// The request names an address that means the member's own machine.
    #[error(
        "{0} can only be reached from its own machine; start the node with --machine-ip and the address at which \
         others reach it"
    )]
    Loopback(swift_chain::Address),
    /// Nobody, or somebody else, answers at the address.
    #[error(
        "{address} does not lead to the node that wants to join; check --machine-ip, --port and the firewall"
    )]
    NotThere {
        /// The address in the request. What happened there is in the log of the member only.
        address: swift_chain::Address,
    },
    /// The invitation was tried too often without success.
    #[error("this ticket was tried {DIAL_BACKS_PER_INVITATION} times without success; ask for a new one")]
    TooOften,
    /// The ledger said no.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// It is granted, and not final yet: asking again with the same ticket is how to go on.
    #[error(transparent)]
    NotFinal(#[from] NotFinal),
    /// Too many ask at once.
    #[error("too many nodes are joining at this moment; try again")]
    Busy,
}

impl JoinDesk {
    /// The desk of one node.
    pub fn new(me: NodeId, ledger: LedgerHandle, finality: Finality, dialer: Dialer) -> Self {
        let places = Arc::new(Semaphore::new(DESK_PLACES));
        Self { me, ledger, finality, dialer, places, attempts: Arc::default() }
    }

    /// Takes a node in and waits until its membership is final, as long as one waits for that. `caller` proved its key
    /// and calls from `from`.
    pub async fn admit(
        &self,
        caller: NodeId,
        from: IpAddr,
        offer: JoinOffer,
    ) -> Result<Settled, JoinRefusal> {
        let _place = self.places.try_acquire().map_err(|_| JoinRefusal::Busy)?;
        let node = offer.request.node;
        if node != caller {
            return Err(JoinRefusal::OtherKey(node));
        }
        let address = offer.request.address.clone();
        if address.is_loopback() && !from.to_canonical().is_loopback() {
            return Err(JoinRefusal::Loopback(address));
        }
        if let Some(member) = self.ledger.members().member(&node) {
            // It was taken in and lost the answer; where it is now it tells the ledger itself.
            return Ok(Settled { height: member.joined_height, transaction: None });
        }
        // Before anything is dialled: without a valid invitation nobody makes this node dial anybody.
        self.judge(&offer).await?;
        self.count_attempt(offer.request.nonce)?;
        self.dial_back(node, address).await?;
        let queued = self.ledger.enqueue(offer.action(), None).await?;
        Ok(self.finality.within(queued.settled()).await??)
    }

    async fn judge(&self, offer: &JoinOffer) -> Result<(), JoinRefusal> {
        let head = self.ledger.head();
        let context = BlockContext { height: head.height + 1, time_ms: head.next_time_ms(wall_clock_ms()) };
        let transaction = Transaction {
            network: self.ledger.network(),
            author: self.me,
            sequence: 0,
            valid_until_ms: 0,
            on_behalf_of: None,
            action: offer.action(),
        };
        let judged = self.ledger.read(move |reader| Ok(judge_action(&reader.state(), context, &transaction)));
        match judged.await? {
            // Repeating a request that was granted is how a joiner recovers from a crash.
            Ok(()) | Err(JudgeError::Rejected(Rejection::AlreadyTrue(_))) => Ok(()),
            Err(JudgeError::Rejected(rejection)) => {
                Err(LedgerError::from(swift_chain::SubmitError::from(rejection)).into())
            }
            Err(JudgeError::State(error)) => Err(LedgerError::Read(error.to_string()).into()),
        }
    }

    /// One invitation makes this node dial only so often: it is no means to scan somebody's ports.
    fn count_attempt(&self, nonce: [u8; 16]) -> Result<(), JoinRefusal> {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= INVITATIONS_COUNTED_MAX {
            attempts.clear();
        }
        let count = attempts.entry(nonce).or_insert(0);
        *count += 1;
        if *count > DIAL_BACKS_PER_INVITATION { Err(JoinRefusal::TooOften) } else { Ok(()) }
    }

    /// Any answer will do: the handshake has proved the key before it comes.
    async fn dial_back(&self, node: NodeId, address: swift_chain::Address) -> Result<(), JoinRefusal> {
        let dialled = async {
            let client = self.dialer.client_at(node, address.clone())?;
            client.get("/key").send().await
        };
        match timeout(DIAL_BACK_TIMEOUT, dialled).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                info!(%node, %address, %error, "a node that wants to join is not there");
                Err(JoinRefusal::NotThere { address })
            }
            Err(_) => Err(JoinRefusal::NotThere { address }),
        }
    }
}
