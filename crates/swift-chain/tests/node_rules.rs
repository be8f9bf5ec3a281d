//! The ledger's rules for members, roles and validators.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use network::*;
use swift_chain::*;

fn update(node: u8, change: NodeChange) -> Action {
    Action::UpdateNode { node: key(node).id(), change }
}

#[test]
fn an_invited_node_becomes_a_member_with_the_role_of_its_invitation() {
    let mut founder = Peer::founder();
    founder.admit(2, Role::Reader);
    let member = founder.replica.reader().member(&key(2).id()).unwrap().unwrap();
    assert_eq!(member, Member { role: Role::Reader, address: address(2), joined_height: 1 });
    assert_eq!(founder.replica.reader().counts().unwrap().members, 2);
}

#[test]
fn an_invitation_works_once() {
    let mut founder = Peer::founder();
    let invitation = founder.invitation(Role::Publisher, 1);
    let first = founder.join_action(&key(2), 2, invitation.clone());
    founder.submit(first.clone()).unwrap();
    let second = founder.join_action(&key(3), 3, invitation);
    assert_eq!(founder.refused(second), Rejection::InvitationUsed);
    // The same request once more is no second use.
    assert_eq!(founder.submit(first), Ok(Settled { height: 1, transaction: None }));
}

#[test]
fn an_expired_invitation_is_told_from_a_used_one() {
    let mut founder = Peer::founder();
    let invitation = founder.invitation(Role::Publisher, 1);
    let not_after_ms = invitation.terms.not_after_ms;
    let action = founder.join_action(&key(2), 2, invitation);
    founder.now_ms = not_after_ms + 1;
    assert_eq!(founder.refused(action), Rejection::InvitationExpired { not_after_ms });
}

#[test]
fn only_an_admins_invitation_counts() {
    let (mut founder, alice) = founder_and_member();
    let invitation = alice.invitation(Role::Admin, 7);
    let action = alice.join_action(&key(3), 3, invitation);
    assert_eq!(founder.refused(action), Rejection::InviterIsNoAdmin { inviter: key(2).id() });
}

#[test]
fn an_invitation_cannot_be_altered_moved_or_used_by_another() {
    let mut founder = Peer::founder();
    let invitation = founder.invitation(Role::Reader, 1);

    let mut raised = invitation.clone();
    raised.terms.role = Role::Admin;
    let action = founder.join_action(&key(2), 2, raised);
    assert!(matches!(founder.refused(action), Rejection::InvitationSignature { what: "invitation", .. }));

    let elsewhere = Invitation::sign(&key(1), &NetworkId::default(), invitation.terms.clone());
    let action = founder.join_action(&key(2), 2, elsewhere);
    assert!(matches!(founder.refused(action), Rejection::InvitationSignature { what: "invitation", .. }));

    // Somebody names another node, or another address, than the joiner signed.
    let Action::AddNode { joiner_signature, .. } = founder.join_action(&key(2), 2, invitation.clone()) else {
        unreachable!()
    };
    let (node, address) = (key(2).id(), address(66));
    let action = Action::AddNode { node, address, invitation: Box::new(invitation), joiner_signature };
    assert!(matches!(
        founder.refused(action),
        Rejection::InvitationSignature { what: "request to join", .. }
    ));
}

#[test]
fn a_removed_key_never_comes_back_and_says_nothing_more() {
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Admin);
    founder.submit(Action::RemoveNode { node: key(2).id() }).unwrap();
    let again = founder.submit(Action::RemoveNode { node: key(2).id() });
    assert_eq!(again, Ok(Settled { height: 2, transaction: None }));
    let invitation = founder.invitation(Role::Reader, 50);
    let action = founder.join_action(&key(2), 2, invitation);
    assert_eq!(founder.refused(action), Rejection::Removed { node: key(2).id(), height: 2 });
    alice.catch_up(&founder);
    assert_eq!(alice.refused(add("a", 1)), Rejection::Removed { node: key(2).id(), height: 2 });
}

#[test]
fn the_last_admin_and_the_last_validator_stay() {
    let mut founder = Peer::founder();
    founder.admit(2, Role::Publisher);
    let node = key(1).id();
    assert_eq!(founder.refused(Action::RemoveNode { node }), Rejection::LastAdmin { node });
    assert_eq!(founder.refused(update(1, NodeChange::Role(Role::Reader))), Rejection::LastAdmin { node });
    assert_eq!(founder.refused(update(1, NodeChange::ValidatorWeight(0))), Rejection::LastValidator { node });
    founder.submit(update(2, NodeChange::Role(Role::Admin))).unwrap();
    // An admin there is now, but still no other validator.
    assert_eq!(founder.refused(Action::RemoveNode { node }), Rejection::LastValidator { node });
    founder.submit(update(1, NodeChange::Role(Role::Reader))).unwrap();
}

#[test]
fn the_last_admin_is_judged_transaction_by_transaction_within_a_block() {
    let mut founder = Peer::founder();
    founder.admit(2, Role::Admin);
    founder.admit(3, Role::Admin);
    let demote = |number: u8| submission(u64::from(number), update(number, NodeChange::Role(Role::Reader)));
    // Each alone is allowed; the third, in the same block, would leave nobody.
    founder.step(vec![demote(2), demote(3), demote(1)]);
    assert!(founder.outcome(2).unwrap().is_ok() && founder.outcome(3).unwrap().is_ok());
    let last = founder.outcome(1).unwrap().unwrap_err();
    assert_eq!(last, SubmitError::Rejected(Rejection::LastAdmin { node: key(1).id() }));
}

#[test]
fn a_member_changes_its_own_address_and_nothing_else() {
    let (mut founder, mut alice) = founder_and_member();
    alice.request(1, update(2, NodeChange::Address(address(22))));
    exchange(&mut alice, &mut founder);
    assert!(alice.outcome(1).unwrap().is_ok());
    assert_eq!(founder.replica.reader().member(&key(2).id()).unwrap().unwrap().address, address(22));
    for action in [
        update(1, NodeChange::Address(address(66))),
        update(2, NodeChange::Role(Role::Admin)),
        update(2, NodeChange::ValidatorWeight(1)),
        Action::RemoveNode { node: key(1).id() },
        Action::Upgrade { version: 2, from_height: 100 },
    ] {
        assert!(matches!(alice.refused(action), Rejection::Role { needs: Role::Admin, .. }));
    }
}

#[test]
fn a_member_may_leave() {
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Reader);
    alice.request(1, Action::RemoveNode { node: key(2).id() });
    exchange(&mut alice, &mut founder);
    assert_eq!(founder.replica.reader().removed_at(&key(2).id()).unwrap(), Some(2));
}

#[test]
fn rules_of_a_version_this_program_does_not_know_stop_it_at_their_height() {
    let mut founder = Peer::founder();
    let follower = founder.admit(2, Role::Reader);
    founder.submit(Action::Upgrade { version: 2, from_height: 4 }).unwrap();
    founder.submit(add("a", 1)).unwrap();
    let mut blocks = founder.blocks(1);
    // A newer program goes on; here its block is made by hand, with this program's rules.
    let network = founder.replica.reader().network();
    let head = *founder.replica.head();
    let header = Header {
        height: 4,
        previous: head.hash,
        time_ms: head.time_ms + 1,
        ..blocks[2].block.header.clone()
    };
    let block = Block::sign(&key(1), &network, header, Vec::new());
    let certificate = Certificate::sign_alone(&key(1), &network, 4, block.header.hash());
    blocks.push(SealedBlock { block, certificate });
    let mut follower = follower;
    let outcome = follower.follow(blocks);
    assert!(matches!(outcome, Err(FollowError::UnknownProtocol(_))), "{outcome:?}");
    assert_eq!(follower.replica.head().height, 3);
}
