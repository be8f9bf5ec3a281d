//! What a node says of its ledger, and what it lets itself be told.

use swift_chain::{
    Audit, Block, BlockHash, Certificate, ChainFrame, FrameDecoder, Hash, Header, LedgerDb, NetworkId,
    NodeKey, SealedBlock, block_frame,
};

use crate::site::Site;

/// A node whose chain has three blocks: two files, one of them removed.
async fn with_blocks() -> Site {
    let site = Site::found().await;
    site.client.put("a", b"a").await.ok();
    site.client.put("b", b"b").await.ok();
    site.client.delete("/v1/files/a").await.ok();
    site
}

/// The chain from a height on, as a stream of frames.
pub(crate) async fn stream_from(site: &Site, height: u64) -> Vec<u8> {
    site.client.post("/getBlockDatas", height.to_string()).await.is(200).body
}

fn frames(stream: &[u8]) -> Vec<ChainFrame> {
    let mut decoder = FrameDecoder::default();
    decoder.push(stream);
    let frames = std::iter::from_fn(|| decoder.next_frame().unwrap()).collect();
    decoder.finish().unwrap();
    frames
}

fn blocks(stream: &[u8]) -> Vec<SealedBlock> {
    let block = |frame| match frame {
        ChainFrame::Block(sealed) => Some(*sealed),
        ChainFrame::Genesis(_) | ChainFrame::Snapshot(_) => None,
    };
    frames(stream).into_iter().filter_map(block).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_as_a_stream_proves_itself() {
    let site = with_blocks().await;
    let form = site.client.request(reqwest::Method::POST, "/getBlockDatas").form(&[("num", "0")]);
    let stream = crate::client::answered(form).await.is(200).body;
    assert!(stream == stream_from(&site, 0).await, "a form and a plain body are answered differently");

    let mut seen = Vec::new();
    let network = site.node.network();
    let audit = Audit::read(stream.as_slice(), Some(network), |block| seen.push(block.block().header.height));
    let audit = audit.unwrap();
    assert_eq!(seen, [1, 2, 3]);
    assert_eq!(*audit.head(), site.node.ledger().head());
    let live: Vec<_> = audit.state().files().map(|record| record.entry.name.as_str().to_owned()).collect();
    assert_eq!(live, ["b"]);

    let tail = blocks(&stream_from(&site, 2).await);
    assert_eq!(tail.iter().map(|sealed| sealed.block.header.height).collect::<Vec<_>>(), [2, 3]);
    assert!(stream_from(&site, 4).await.is_empty());
    for nonsense in ["", "num=", "num=x", "-1"] {
        site.client.post("/getBlockDatas", nonsense).await.refused(400, "bad_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heights_and_hashes_are_those_of_the_chain() {
    let site = with_blocks().await;
    assert_eq!(site.client.get("/topBlockNumber").await.is(200).text(), "3");
    assert_eq!(site.client.get("/totalBlocks").await.is(200).text(), "4");
    let hash = async |height: u64| site.client.get(&format!("/getHash?num={height}")).await.is(200).text();
    assert_eq!(hash(0).await, site.node.network().to_string());
    for sealed in blocks(&stream_from(&site, 0).await) {
        assert_eq!(hash(sealed.block.header.height).await, sealed.block.header.hash().to_string());
    }
    assert_eq!(hash(4).await, "");
    for nonsense in ["/getHash", "/getHash?num=x", "/getHash?num=-1"] {
        site.client.get(nonsense).await.refused(400, "bad_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_is_there_already_is_taken_and_changes_nothing() {
    let site = with_blocks().await;
    let before = site.node.ledger().head();
    let stream = stream_from(&site, 1).await;
    let answer = site.client.post("/addBlock", stream).await.is(200).json();
    assert_eq!(answer["status"], true);
    assert_eq!(site.node.ledger().head(), before);
}

/// A block that follows the head and claims to be by `key`.
pub(crate) fn next_block(site: &Site, key: &NodeKey, change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let (mut header, network) = (next_header(site, key), site.node.network());
    change(&mut header);
    let certificate = Certificate::sign_alone(key, &network, header.height, header.hash());
    certified_block(key, header, certificate, network)
}

/// The header of such a block, which has no transactions.
pub(crate) fn next_header(site: &Site, key: &NodeKey) -> Header {
    let head = site.node.ledger().head();
    Header {
        height: head.height + 1,
        previous: head.hash,
        time_ms: head.time_ms + 1,
        creator: key.id(),
        transactions_root: Block::transactions_root(&[]),
        next_validators: Hash::default(),
        state_hash: Hash::default(),
    }
}

/// A block without transactions.
pub(crate) fn certified_block(
    key: &NodeKey,
    header: Header,
    certificate: Certificate,
    network: NetworkId,
) -> Vec<u8> {
    let block = Block::sign(key, &network, header, Vec::new());
    block_frame(&SealedBlock { block, certificate }.to_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_block_is_refused_with_a_reason() {
    let site = with_blocks().await;
    let before = site.node.ledger().head();
    let stranger = NodeKey::from_seed([9; 32]);
    let mut cut_short = stream_from(&site, 3).await;
    cut_short.pop();
    let forgeries = [
        ("by a key that is no validator", next_block(&site, &stranger, |_| {})),
        ("by the validator, with a false state", next_block(&site, &site.home.key(), |_| {})),
        ("cut short", cut_short),
        ("of an unknown kind", b"\x07\0\0\0\0".to_vec()),
        ("longer than allowed", b"\x01\xff\xff\xff\xff".to_vec()),
        ("no block at all", b"\x01\x03\0\0\0abc".to_vec()),
    ];
    for (what, forgery) in forgeries {
        let answer = site.client.post("/addBlock", forgery).await;
        assert_eq!((answer.status, &answer.json()["status"]), (400, &false.into()), "{what}");
        assert!(!answer.refused(400, "bad_request").is_empty());
    }
    // The validator's own signature on a block that does not follow its last one is a fork.
    let fork = next_block(&site, &site.home.key(), |header| header.previous = BlockHash::from_bytes([7; 32]));
    site.client.post("/addBlock", fork).await.refused(409, "conflict");
    let gap = next_block(&site, &site.home.key(), |header| header.height += 5);
    site.client.post("/addBlock", gap).await.refused(409, "conflict");
    assert_eq!(site.node.ledger().head(), before);
    // The node goes on.
    site.client.put("c", b"c").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_with_blocks_is_never_overwritten() {
    let site = with_blocks().await;
    let before = site.node.ledger().head();
    let own = stream_from(&site, 0).await;
    let other = stream_from(&with_blocks().await, 0).await;
    for stream in [own, other, Vec::new()] {
        let answer = site.client.post("/overwriteBlockchain", stream).await;
        assert_eq!(answer.json()["status"], false);
        answer.refused(409, "conflict");
    }
    assert_eq!(site.node.ledger().head(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_chain_takes_blocks_of_its_own_network_only() {
    let site = Site::found().await;
    let other = stream_from(&with_blocks().await, 0).await;
    let reason = site.client.post("/overwriteBlockchain", other.clone()).await.refused(409, "conflict");
    assert!(reason.contains(&site.node.network().to_string()), "{reason}");
    let blocks_only: Vec<_> =
        blocks(&other).iter().flat_map(|sealed| block_frame(&sealed.to_bytes())).collect();
    site.client.post("/overwriteBlockchain", blocks_only).await.refused(400, "bad_request");
    assert_eq!(site.node.ledger().head().height, 0);
}

/// A node that lost its ledger gets it back from a chain file, and nobody has to be asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_file_brings_a_fresh_ledger_of_its_network_up_to_date() {
    let site = with_blocks().await;
    let (stream, head) = (stream_from(&site, 0).await, site.node.ledger().head());
    let home = site.stop().await;
    home.forget_ledger();
    let ChainFrame::Genesis(genesis) = frames(&stream).remove(0) else { panic!("no genesis block first") };
    drop(LedgerDb::create(&home.path("ledger.db"), &genesis).unwrap());

    let site = home.start().await;
    assert_eq!(site.node.ledger().head().height, 0);
    let mut cut_short = stream.clone();
    cut_short.pop();
    site.client.post("/overwriteBlockchain", cut_short).await.refused(400, "bad_request");
    assert_eq!(site.node.ledger().head().height, 0);
    site.client.post("/overwriteBlockchain", stream).await.is(200);
    assert_eq!(site.node.ledger().head(), head);
    assert_eq!(site.client.names().await, ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_come_in_pages() {
    let site = with_blocks().await;
    let page = site.client.get("/v1/blocks?limit=2").await.ok().json();
    let heights = |page: &serde_json::Value| -> Vec<_> {
        page["blocks"].as_array().unwrap().iter().map(|block| block["height"].as_u64().unwrap()).collect()
    };
    assert_eq!((heights(&page), &page["next"]), (vec![1, 2], &3.into()));
    let page = site.client.get("/v1/blocks?from=3&limit=2").await.ok().json();
    assert_eq!((heights(&page), &page["next"]), (vec![3], &serde_json::Value::Null));
    let page = site.client.get("/v1/blocks?from=4").await.ok().json();
    assert_eq!((heights(&page), &page["next"]), (vec![], &serde_json::Value::Null));

    let block = site.client.get("/v1/blocks/1").await.ok().json();
    let me = site.node.id().to_string();
    assert_eq!(block["previous"], site.node.network().to_string());
    assert_eq!((&block["creator"], &block["certificate"]["signers"][0]), (&me.clone().into(), &me.into()));
    let transaction = &block["transactions"][0];
    assert_eq!(transaction["on_behalf_of"], "admin");
    assert_eq!(transaction["action"]["add_file"]["file"]["name"], "a");
    site.client.get("/v1/blocks/4").await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_has_what_scripts_rely_on() {
    let site = with_blocks().await;
    let status = site.client.get("/v1/status").await.ok().json();
    let me = site.node.id().to_string();
    assert_eq!(status["node_id"], me.as_str());
    assert_eq!(status["network_id"], site.node.network().to_string());
    assert_eq!(status["height"], 3);
    assert_eq!(status["head_hash"], site.node.ledger().head().hash.to_string());
    assert_eq!(status["role"], "admin");
    assert_eq!(status["address"], site.home.address().to_string());
    let validator = serde_json::json!({ "node_id": me, "weight": 1, "online": true, "signed_last": true });
    assert_eq!(status["validators"], serde_json::json!([validator]));
    let certificate = serde_json::json!({ "height": 3, "round": 0, "signers": [me] });
    assert_eq!(status["last_certificate"], certificate);
    let quorum = serde_json::json!({
        "total": 1, "needed": 1, "reachable": 1, "has_quorum": true, "faults_tolerated": 0, "warning": null
    });
    assert_eq!(status["quorum"], quorum);
    assert_eq!((&status["members"], &status["files"], &status["bytes"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!(status["problem"], serde_json::Value::Null);
    let nodes = site.client.get("/v1/nodes").await.ok().json()["nodes"].clone();
    assert_eq!(nodes.as_array().unwrap().len(), 1);
    assert_eq!(nodes[0]["node_id"], me.as_str());
    assert_eq!((&nodes[0]["is_self"], &nodes[0]["online"]), (&true.into(), &true.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_in_pages_and_by_prefix() {
    let site = Site::found().await;
    for name in ["b/2", "B/1", "a", "c"] {
        site.client.put(name, name.as_bytes()).await.ok();
    }
    let names = |page: &serde_json::Value| -> Vec<_> {
        page["files"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = site.client.get("/v1/files?limit=2").await.ok().json();
    assert_eq!((names(&first), &first["total"]), (vec!["a".into(), "B/1".into()], &4.into()));
    for after in [first["next"].as_str().unwrap(), "B/1"] {
        let second = site.client.get(&format!("/v1/files?limit=2&after={after}")).await.ok().json();
        assert_eq!(
            (names(&second), &second["next"]),
            (vec!["b/2".into(), "c".into()], &serde_json::Value::Null)
        );
    }
    let in_folder = site.client.get("/v1/files?prefix=b/").await.ok().json();
    assert_eq!(names(&in_folder), ["B/1", "b/2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_sorted_and_looked_for_and_a_page_stays_where_it_is_while_files_come_and_go() {
    let site = Site::found().await;
    for (name, len) in [("dir/Big", 9), ("small", 1), ("dir/middle", 5), ("gone", 7)] {
        site.client.put(name, &vec![b'x'; len]).await.ok();
    }
    let list = |query: &str| {
        let (client, path) = (site.client.clone(), format!("/v1/files?{query}"));
        async move {
            let page = client.get(&path).await.ok().json();
            let rows = page["files"].as_array().unwrap().clone();
            let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect();
            (names.join(" "), page["next"].as_str().map(str::to_owned), page["total"].clone())
        }
    };
    assert_eq!(list("sort=size").await, ("small dir/middle gone dir/Big".into(), None, 4.into()));
    assert_eq!(list("sort=size&order=desc").await.0, "dir/Big gone dir/middle small");
    assert_eq!(list("sort=published&order=desc").await.0, "gone dir/middle small dir/Big");
    assert_eq!(list("search=BIG").await, ("dir/Big".into(), None, 1.into()));
    assert_eq!(list("search=nothing").await, (String::new(), None, 0.into()));
    let me = site.node.id();
    assert_eq!(list(&format!("publisher={me}&prefix=dir/&sort=size")).await.0, "dir/middle dir/Big");
    let (first, next, _) = list("sort=size&order=desc&limit=2").await;
    assert_eq!(first, "dir/Big gone");
    site.client.delete("/v1/files/gone").await.ok();
    site.client.put("huge", &[b'x'; 20]).await.ok();
    let next = next.unwrap();
    assert_eq!(list(&format!("sort=size&order=desc&limit=2&after={next}")).await.0, "dir/middle small");
    // A place in one order is none in another.
    for query in [
        "sort=age",
        "order=up",
        "publisher=me",
        "limit=-1",
        "sort=size&after=small",
        &format!("after={next}"),
    ] {
        site.client.get(&format!("/v1/files?{query}")).await.refused(400, "bad_request");
    }
}
