//! What the ledger is made of.

use swift_chain::{
    Block, Certificate, ChainFrame, Evidence, Expectation, FrameDecoder, Genesis, Receipt, SealedBlock,
    SignedTransaction,
};

use crate::same;

/// A signed transaction, and what anybody checks of it without a ledger.
pub fn transaction(bytes: &[u8]) {
    let read = SignedTransaction::from_bytes(bytes);
    same(read.as_ref().map(SignedTransaction::to_bytes), bytes);
    if let Ok(signed) = read {
        let network = signed.transaction.network;
        // Only its author could have made a sound one.
        let _ = signed.check(&network);
    }
}

/// A block, bare and with its certificate.
pub fn block(bytes: &[u8]) {
    same(Block::from_bytes(bytes).map(|block| block.to_bytes()), bytes);
    same(SealedBlock::from_bytes(bytes).map(|sealed| sealed.to_bytes()), bytes);
}

/// A certificate.
pub fn certificate(bytes: &[u8]) {
    same(Certificate::from_bytes(bytes).map(|certificate| certificate.to_bytes()), bytes);
}

/// A genesis block.
pub fn genesis(bytes: &[u8]) {
    same(Genesis::from_bytes(bytes).map(|genesis| genesis.to_bytes()), bytes);
}

/// Evidence, bare and as a file.
pub fn evidence(bytes: &[u8]) {
    same(Evidence::from_bytes(bytes).map(|evidence| evidence.to_bytes()), bytes);
    if let Ok((network, evidence)) = Evidence::from_file(bytes) {
        assert_eq!(evidence.to_file(&network), bytes, "written otherwise than read");
    }
}

/// A chain, which reads the same however it is cut into pieces.
pub fn chain_stream(bytes: &[u8]) {
    let whole = frames(bytes.chunks(bytes.len().max(1)));
    // A prime, so that cuts fall everywhere.
    assert_eq!(frames(bytes.chunks(7)), whole, "other pieces read otherwise");
}

/// The frames up to the first error, and whether there was one.
fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<ChainFrame>, bool) {
    let (mut decoder, mut frames) = (FrameDecoder::default(), Vec::new());
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, decoder.finish().is_err())
}

/// A receipt, and what it proves.
pub fn receipt(bytes: &[u8]) {
    let read = Receipt::from_bytes(bytes);
    same(read.as_ref().map(Receipt::to_bytes), bytes);
    if let Ok(receipt) = read {
        // It may prove something.
        let _ = receipt.verify(&Expectation::default());
    }
}
