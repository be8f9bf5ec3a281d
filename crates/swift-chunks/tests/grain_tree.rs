//! The bytes of grain trees stay what they are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "fixtures of tests fail by panicking"
)]

use data_encoding::HEXLOWER;
use swift_chunks::{CHUNK_LEN, ChunkLayout, GRAIN_LEN, GrainTree};

fn encoded(len: u64, chunk: u64) -> Vec<u8> {
    let content: Vec<u8> = (0..len).map(|at| (at % 253) as u8).collect();
    let layout = ChunkLayout::new(len).unwrap();
    let chunk = layout.chunk(chunk).unwrap();
    let range = layout.range(chunk);
    GrainTree::of_chunk(layout, chunk, &content[range.start as usize..range.end as usize]).unwrap().encode()
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    HEXLOWER.encode(&sha2::Sha256::digest(bytes))
}

#[test]
fn golden_bytes() {
    let layout = ChunkLayout::new(3).unwrap();
    let abc = GrainTree::of_chunk(layout, layout.chunk(0).unwrap(), &b"abc"[..]).unwrap();
    let file_id = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    assert_eq!(HEXLOWER.encode(&abc.encode()), file_id);

    let two_grains = [
        "a8ec5c8fcec7ab00328c10d7ab691b995a68d072e07163b0171fd05f673a2d3b",
        "41ad6ef7da33d0c63120156c9ff45ff3eb8778a48aa5a4b4dbb6dd6e9915e20d",
    ];
    assert_eq!(HEXLOWER.encode(&encoded(GRAIN_LEN + 1, 0)), two_grains.concat());

    let full = encoded(CHUNK_LEN + 5 * GRAIN_LEN, 0);
    assert_eq!(
        (full.len(), sha256(&full).as_str()),
        (2048, "1c4af2bf15576ed7fe709dbf7629313b06168fa1dd4e8d56aa752aa40e5a761d")
    );
    let last = encoded(CHUNK_LEN + 5 * GRAIN_LEN, 1);
    assert_eq!(
        (last.len(), sha256(&last).as_str()),
        (160, "f3de509df91ee496e243f1408c4ae2f0ea82ce4802e4b448f3cd04f6d1707443")
    );
}
