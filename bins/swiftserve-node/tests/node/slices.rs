//! What members get of a file beside what clients get: slices, and the trees that judge them.

use data_encoding::BASE64;
use reqwest::header::RANGE;
use swift_chunks::{ChunkLayout, GrainTree, Slice, SliceVerifier};
use swift_p2p::{
    driver::GRAINS_HEADER,
    transport::{PeerClient, PeerResponse},
};

use crate::{
    client::{answered, soon},
    site::{Site, content},
};

const LEN: usize = (4 << 20) + 100_000;

async fn ranged(member: &PeerClient, path: &str, (first, last): (u64, u64)) -> PeerResponse {
    let request = member.get(path).header(RANGE, format!("bytes={first}-{last}"));
    soon(request.header(GRAINS_HEADER, "wanted").send()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_comes_with_the_tree_that_judges_it_if_that_is_asked_for() {
    let (founder, bytes) = (Site::found().await, content(LEN, 1));
    let joiner = Site::join(&founder.invite().await).await;
    founder.client.put("file.bin", &bytes).await.ok();
    let (member, path) = (founder.seen_by(&joiner.home.key()), "/download?file=file.bin");

    let layout = ChunkLayout::new(LEN as u64).unwrap();
    for (chunk, grain, level) in [(0, 4, 2), (0, 0, 6), (1, 1, 0)] {
        let chunk = layout.chunk(chunk).unwrap();
        let slice = Slice::around(layout, chunk, grain, level).unwrap();
        let range = slice.range(layout);
        let answer = ranged(&member, path, (range.start, range.end - 1)).await;
        assert_eq!(answer.status(), 206);
        let tree = BASE64.decode(answer.headers()[GRAINS_HEADER].as_bytes()).unwrap();
        let expected = bytes.chunks(4 << 20).nth(usize::try_from(chunk.get()).unwrap()).unwrap();
        let expected = GrainTree::of_chunk(layout, chunk, expected).unwrap();
        let tree = GrainTree::decode(layout, chunk, expected.chaining_value(), &tree).unwrap();
        let mut verifier = SliceVerifier::new(slice, &tree);
        verifier.update(&soon(answer.bytes()).await.unwrap()).unwrap();
        verifier.finish().unwrap();
    }

    let unasked = soon(member.get(path).header(RANGE, "bytes=0-65535").send()).await.unwrap();
    assert_eq!((unasked.status().as_u16(), unasked.headers().get(GRAINS_HEADER)), (206, None));
    let client = founder.client.request(reqwest::Method::GET, path).header(RANGE, "bytes=0-65535");
    let answer = answered(client.header(GRAINS_HEADER, "wanted")).await.is(206);
    assert!(answer.headers.get(GRAINS_HEADER).is_none(), "clients are sent what is verified");
    let beyond = ranged(&member, path, (LEN as u64, LEN as u64 + 5)).await;
    assert_eq!((beyond.status().as_u16(), beyond.headers().get(GRAINS_HEADER)), (416, None));
}
