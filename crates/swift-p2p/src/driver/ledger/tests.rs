//! What a handle's callers see, on a real thread and a real ledger.

use swift_chain::{
    FileEntry, Genesis, GenesisBody, Hash, Invitation, InvitationTerms, JoinRequest, LedgerDb, NetworkParams,
    NodeKey, PROTOCOL_VERSION, Role, Transaction, Vote, VoteKind, consensus::SignedVote,
};

use super::*;
use crate::driver::wall_clock_ms;

fn founder() -> NodeKey {
    NodeKey::from_seed([1; 32])
}

fn member() -> NodeKey {
    NodeKey::from_seed([2; 32])
}

/// A ledger whose only validator is the founder, and whose block 1 took in a member.
async fn ledger(folder: &Path) -> LedgerTask {
    let body = GenesisBody {
        protocol_version: PROTOCOL_VERSION,
        nonce: [1; 16],
        time_ms: 1_000,
        founder: founder().id(),
        address: "10.0.0.1:1".parse().unwrap(),
        params: NetworkParams::default(),
        origin: None,
    };
    let (path, genesis) = (folder.join("ledger.db"), Genesis::sign(&founder(), body));
    let replica = Replica::new(founder(), LedgerDb::create(&path, &genesis).unwrap()).unwrap();
    let task = LedgerTask::spawn(replica, &path, Members::default()).unwrap();
    let (inviter, nonce, not_after_ms) = (founder().id(), [2; 16], u64::MAX);
    let terms = InvitationTerms { inviter, role: Role::Publisher, nonce, not_after_ms };
    let invitation = Box::new(Invitation::sign(&founder(), &genesis.id(), terms));
    let (node, address) = (member().id(), "10.0.0.2:1".parse().unwrap());
    let request = JoinRequest { node, address, nonce };
    let joiner_signature = member().sign(&genesis.id(), &request);
    let join = Action::AddNode { node, address: request.address, invitation, joiner_signature };
    task.handle.submit(join, None).await.unwrap();
    task
}

/// A file of the member's. Signed by somebody else when it is forged.
fn publishing(network: NetworkId, sequence: u64, signer: &NodeKey) -> SignedTransaction {
    let name = format!("{sequence}.txt").parse().unwrap();
    let file = FileEntry { name, size: 1, file_id: Hash::default(), manifest_hash: Hash::default() };
    let (action, valid_until_ms) = (Action::AddFile { file, replaces: None }, wall_clock_ms() + 1_000_000);
    let author = member().id();
    let body = Transaction { network, author, sequence, valid_until_ms, on_behalf_of: None, action };
    SignedTransaction::sign(signer, body)
}

#[tokio::test]
async fn a_batch_with_a_forged_transaction_is_refused_whole_and_a_sound_one_comes_into_a_block() {
    let folder = tempfile::tempdir().unwrap();
    let LedgerTask { handle, .. } = ledger(folder.path()).await;
    let (network, from) = (handle.network(), member().id());
    let sound = |sequence| publishing(network, sequence, &member());
    let forged = publishing(network, 2, &NodeKey::from_seed([9; 32]));
    let refused = handle.receive(from, vec![sound(1), forged.clone(), sound(3)], 600).await;
    assert_eq!(refused, Err(HandOverError::Forged(TransactionError::Signature { author: from })));
    // Whom it names is no member: nobody looks at its signature.
    let mut stranger = forged;
    stranger.transaction.author = NodeKey::from_seed([9; 32]).id();
    assert_eq!(handle.receive(from, vec![stranger], 200).await, Ok(()));
    assert_eq!(handle.head().height, 1);
    let mut head = handle.watch_head();
    assert_eq!(handle.receive(from, vec![sound(1), sound(2)], 400).await, Ok(()));
    head.wait_for(|head| head.height == 2).await.unwrap();
    let block = handle.read(|reader| reader.block(2)).await.unwrap().unwrap().block;
    let sequences: Vec<_> = block.transactions.iter().map(|signed| signed.transaction.sequence).collect();
    assert_eq!(sequences, [1, 2]);
    // What the ledger has is not looked at again, whoever signed it.
    let again = publishing(network, 2, &NodeKey::from_seed([9; 32]));
    assert_eq!(handle.receive(from, vec![again], 200).await, Ok(()));
}

#[tokio::test]
async fn messages_are_answered_when_the_ledger_has_heard_them_and_the_sender_may_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let LedgerTask { handle, ended, .. } = ledger(folder.path()).await;
    let (key, network) = (member(), handle.network());
    let vote = Vote { kind: VoteKind::Prevote, height: 2, round: 0, block: None, validator: key.id() };
    let message = ConsensusMessage::Vote(SignedVote::sign(&key, &network, vote));
    for _ in 0..20 {
        assert_eq!(handle.agree(key.id(), vec![message.clone(); 3], 600).await, Ok(()));
    }
    drop(handle);
    assert_eq!(ended.await, Ok(Ok(())));
}
