//! Learning that this node was removed: members no longer tell it anything but the block that says so.

use swift_chain::{Action, Block, ChainFrame, FrameDecoder, NetworkId, NodeId, SealedBlock, ValidatorSet};

/// The height of the block in `frame`, if it proves that `me` was removed: certified by the validators that this node
/// knows, and holding the transaction.
///
/// With other validators since, this node cannot check the block, and goes on asking.
pub(super) fn proved_by(frame: &[u8], me: NodeId, network: &NetworkId, known: &ValidatorSet) -> Option<u64> {
    let mut decoder = FrameDecoder::default();
    decoder.push(frame);
    let Ok(Some(ChainFrame::Block(sealed))) = decoder.next_frame() else { return None };
    let SealedBlock { block, certificate } = *sealed;
    let height = block.header.height;
    certificate.check(network, known, height, block.header.hash()).ok()?;
    if block.header.transactions_root != Block::transactions_root(&block.transactions) {
        return None;
    }
    let removes_me = |action: &Action| matches!(action, Action::RemoveNode { node } if *node == me);
    block.transactions.iter().any(|signed| removes_me(&signed.transaction.action)).then_some(height)
}

#[cfg(test)]
mod tests {
    use swift_chain::{
        BlockHash, Certificate, Hash, Header, NodeKey, SignedTransaction, Transaction, block_frame,
    };

    use super::*;

    const NETWORK: NetworkId = NetworkId::from_bytes([1; 32]);

    fn frame(validator: &NodeKey, removed: NodeId) -> Vec<u8> {
        let body = Transaction {
            network: NETWORK,
            author: validator.id(),
            sequence: 1,
            valid_until_ms: 1,
            on_behalf_of: None,
            action: Action::RemoveNode { node: removed },
        };
        let transactions = vec![SignedTransaction::sign(validator, body)];
        let header = Header {
            height: 7,
            previous: BlockHash::default(),
            time_ms: 1,
            creator: validator.id(),
            transactions_root: Block::transactions_root(&transactions),
            next_validators: Hash::default(),
            state_hash: Hash::default(),
        };
        let block = Block::sign(validator, &NETWORK, header, transactions);
        let certificate = Certificate::sign_alone(validator, &NETWORK, 7, block.header.hash());
        block_frame(&SealedBlock { block, certificate }.to_bytes())
    }

    #[test]
    fn only_a_block_of_the_known_validators_that_names_this_node_counts() {
        let (validator, liar) = (NodeKey::from_seed([1; 32]), NodeKey::from_seed([2; 32]));
        let (me, other) = (NodeId::from_bytes([3; 32]), NodeId::from_bytes([4; 32]));
        let known = ValidatorSet::sole(validator.id());
        assert_eq!(proved_by(&frame(&validator, me), me, &NETWORK, &known), Some(7));
        assert_eq!(proved_by(&frame(&validator, other), me, &NETWORK, &known), None);
        assert_eq!(proved_by(&frame(&liar, me), me, &NETWORK, &known), None);
        assert_eq!(proved_by(&frame(&validator, me), me, &NetworkId::default(), &known), None);
        assert_eq!(proved_by(b"gone", me, &NETWORK, &known), None);
    }
}
