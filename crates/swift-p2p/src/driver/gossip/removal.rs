//! Learning that this node was removed: members no longer tell it anything but the proof of that.

use swift_chain::{Action, Expectation, NetworkId, NodeId, Receipt};

/// The height of the block that removed `me`, if these bytes prove it: a receipt, which leads from the genesis block
/// through every change of the validators, so it does not matter how long this node was away.
pub(super) fn proved_by(receipt: &[u8], me: NodeId, network: NetworkId) -> Option<u64> {
    let expected = Expectation { network: Some(network), checkpoint: None };
    let proven = Receipt::from_bytes(receipt).ok()?.verify(&expected).ok()?;
    matches!(proven.action, Action::RemoveNode { node } if node == me).then_some(proven.height)
}

#[cfg(test)]
mod tests {
    use swift_chain::{
        Address, Genesis, GenesisBody, Input, Invitation, InvitationTerms, JoinRequest, LedgerDb,
        NetworkParams, NodeKey, Now, PROTOCOL_VERSION, Replica, RequestId, Role,
    };

    use super::*;

    /// The network, and the receipt of its block 2, which removes a member that block 1 took in.
    fn receipt_of_a_removal(removed: &NodeKey) -> (NetworkId, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let founder = NodeKey::from_seed([1; 32]);
        let body = GenesisBody {
            protocol_version: PROTOCOL_VERSION,
            nonce: [1; 16],
            time_ms: 1_000,
            founder: founder.id(),
            address: "10.0.0.1:1".parse().unwrap(),
            params: NetworkParams::default(),
            origin: None,
        };
        let genesis = Genesis::sign(&founder, body);
        let network = genesis.id();
        let ledger = LedgerDb::create(&folder.path().join("ledger.db"), &genesis).unwrap();
        let mut replica = Replica::new(founder.clone(), ledger).unwrap();
        let address: Address = "10.0.0.2:1".parse().unwrap();
        let terms = InvitationTerms {
            inviter: founder.id(),
            role: Role::Reader,
            nonce: [2; 16],
            not_after_ms: u64::MAX,
        };
        let invitation = Box::new(Invitation::sign(&founder, &network, terms));
        let request = JoinRequest { node: removed.id(), address: address.clone(), nonce: [2; 16] };
        let joiner_signature = removed.sign(&network, &request);
        let join = Action::AddNode { node: removed.id(), address, invitation, joiner_signature };
        for (number, action) in [(1, join), (2, Action::RemoveNode { node: removed.id() })] {
            let submit = Input::Submit { request: RequestId(number), action, on_behalf_of: None };
            replica.step(Now::at_ms(2_000 + number), vec![submit]).unwrap();
        }
        (network, Receipt::of_transaction(replica.reader(), 2, 0).unwrap().to_bytes())
    }

    #[test]
    fn only_the_receipt_of_this_nodes_removal_in_this_network_counts() {
        let (me, other) = (NodeKey::from_seed([3; 32]), NodeId::from_bytes([4; 32]));
        let (network, receipt) = receipt_of_a_removal(&me);
        assert_eq!(proved_by(&receipt, me.id(), network), Some(2));
        assert_eq!(proved_by(&receipt, other, network), None);
        assert_eq!(proved_by(&receipt, me.id(), NetworkId::default()), None);
        assert_eq!(proved_by(&receipt[1..], me.id(), network), None);
        assert_eq!(proved_by(b"gone", me.id(), network), None);
    }
}
