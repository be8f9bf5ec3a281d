//! The bytes that other nodes, chain files and tickets rely on. If one of these changes, old data no longer reads:
//! that needs a new protocol version, not a new golden value.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use network::*;
use swift_chain::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn node_key_1_has_this_id() {
    assert_eq!(key(1).id().to_string(), "rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oa");
}

#[test]
fn the_genesis_block_has_these_bytes() {
    let genesis = founder_genesis(NetworkParams::default());
    assert_eq!(
        hex(&genesis.to_bytes()),
        "010909090909090909090909090909090980d095ffbc318a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c0d31302e302e302e313a3830303080ade2048080808080808002e8070050266ecfb1ee240b124812795e21c9ecbe8154cc3359a8fe4e5bd2b5865f8fec6bdc8ff18ee86318426070ea2c398b878c169884ac465ec4b221981aedbcb503"
    );
    assert_eq!(genesis.id().to_string(), "aeaac1076494f0fd2dd178bd86ffa64dc171e4344241dd4abe645acbc968f79b");
}

#[test]
fn a_recovered_network_begins_with_these_bytes() {
    let founder = {
        let mut founder = Peer::founder();
        founder.admit(2, Role::Publisher);
        founder.admit(3, Role::Reader);
        founder.submit(Action::RemoveNode { node: key(3).id() }).unwrap();
        founder.submit(add("a", 1)).unwrap();
        founder
    };
    let mut parts = Vec::new();
    let commitment = founder.replica.reader().snapshot(|part| {
        parts.push(hex(part.to_bytes()));
        Ok::<_, DbError>(())
    });
    let commitment = commitment.unwrap();
    assert_eq!(
        parts,
        [
            "05038139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b39401010d31302e302e302e323a3830303000038a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c01020d31302e302e302e313a383030300004ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d100058a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c0001e807060161010161e807010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101018a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c0090d895ffbc31"
        ]
    );
    assert_eq!(
        commitment.state.to_string(),
        "70527d5d50b5eba5ff8679bc93384c1f6325d4ce551eb80f10aa35f3be2b1e35"
    );
    let body = GenesisBody {
        protocol_version: PROTOCOL_VERSION,
        nonce: [9; 16],
        time_ms: START_MS + 1_000_000,
        founder: key(1).id(),
        address: address(1),
        params: NetworkParams::default(),
        origin: Some(Origin {
            network: NetworkId::from_bytes([1; 32]),
            height: 300,
            hash: BlockHash::from_bytes([2; 32]),
            state: commitment.state,
            frames: commitment.frames,
        }),
    };
    let genesis = Genesis::sign(&key(1), body);
    assert_eq!(
        hex(&genesis.to_bytes()),
        "0109090909090909090909090909090909c0d4d2ffbc318a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c0d31302e302e302e313a3830303080ade2048080808080808002e807010101010101010101010101010101010101010101010101010101010101010101ac02020202020202020202020202020202020202020202020202020202020202020270527d5d50b5eba5ff8679bc93384c1f6325d4ce551eb80f10aa35f3be2b1e3501329ee25262a0ec98b945cc75fdb5bf3a97e940d1c7377229307f2cd7527bb2b2bf9f8075ceff3d2bfc07bdf348ea656ecf041bcd9dce54e2b0864d05bed9640a"
    );
    assert_eq!(genesis.id().to_string(), "f047687dd5b03fbb1721a36bde201bc538375ee0f3df1daec9e8d4ad89575f4c");
    let (_folder, db) = {
        let folder = tempfile::tempdir().unwrap();
        let db = recovery::create_ledger(&folder.path().join("new.db"), &genesis, founder.replica.reader());
        (folder, db.unwrap())
    };
    assert_eq!(
        db.reader().head().unwrap().state_hash.to_string(),
        "7203ee7aa7b33bbf16de16531a8d6f8b9988cb13e46fe8f35916accb812b794f"
    );
}

#[test]
fn a_signed_transaction_has_these_bytes() {
    let transaction = Transaction {
        network: NetworkId::from_bytes([1; 32]),
        author: key(1).id(),
        sequence: 300,
        valid_until_ms: START_MS,
        on_behalf_of: Some("ci".to_owned().try_into().unwrap()),
        action: replace("dir/ø.txt", 2, 1),
    };
    let signed = SignedTransaction::sign(&key(1), transaction);
    assert_eq!(
        hex(&signed.to_bytes()),
        "01010101010101010101010101010101010101010101010101010101010101018a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5cac0280d095ffbc3101026369030a6469722fc3b82e747874d00f0202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020201010101010101010101010101010101010101010101010101010101010101010125bbc4733a6868da1d23ff58e4a4c9339b304516b6f44c1cd78e4034401ff933c49a6cfb64ec385073d25377b841c2732a4168ea6a46638ed966f0a8ed7ab40b"
    );
}

#[test]
fn a_block_with_its_certificate_has_these_bytes() {
    let founder = Peer::founder();
    let (network, reader) = (founder.replica.reader().network(), founder.replica.reader());
    let transaction = Transaction {
        network,
        author: key(1).id(),
        sequence: 1,
        valid_until_ms: START_MS + 1_000_000,
        on_behalf_of: None,
        action: add("a", 1),
    };
    let checked = SignedTransaction::sign(&key(1), transaction).check(&network).unwrap();
    let head = founder.replica.head();
    let draft = draft_block(&key(1), &network, &reader.state(), head, START_MS + 5, [&checked]).unwrap();
    let certificate = Certificate::sign_alone(&key(1), &network, 1, draft.block.hash());
    let sealed = SealedBlock { block: draft.block.block().clone(), certificate };
    assert_eq!(
        hex(&sealed.to_bytes()),
        "01aeaac1076494f0fd2dd178bd86ffa64dc171e4344241dd4abe645acbc968f79b85d095ffbc318a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c9ee610375df85b46653e2e944a410bc29536c60464d255fea15d478b6802f749bd90b4eba877f2f8ff2e62041e1458bec7fb958a082f7ae5f98bcd769c4fc17d54edb33843714f947f56f81c1b98f476bc6b5d21b16a3f53dc3edc33db802b3801aeaac1076494f0fd2dd178bd86ffa64dc171e4344241dd4abe645acbc968f79b8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c01c0d4d2ffbc3100030161e8070101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010100f24a9a42661696f3eba675950c7bd9a648f3c01ddd621234e82a55b2dd7312f493146e0cd0b0405bb962c2df58359d1fc62fe86766ae19dddcf9298bdb673a0536de8184c3a38b18504cfcf814e7774385819865dc3cedb24e6d76da3cd894d3cf75e4d7f36082e118abc4e824b5aed79ce1c7035091e179d5b2e90964ce05050100fe791c80282849a3f11464ffe632cfb493d8ed65ee9045cb140feaf9831e3e6c018a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5cd88eac14d7af913760c279b7c2beb9b0a132063054d7cff60e2d7466711bc037af1b7e6a930e1c82ae8aa7d3637cb1a6da961c8af42e12c46490501d90f3fe0a"
    );
}

#[test]
fn a_ticket_has_this_text() {
    let founder = Peer::founder();
    let ticket = Ticket {
        network: founder.replica.reader().network(),
        checkpoint: Checkpoint { height: 0, hash: founder.replica.head().hash },
        inviter: key(1).id(),
        addresses: vec![address(1), "[2001:db8::1]:9".parse().unwrap(), "a.example:80".parse().unwrap()],
        invitation: founder.invitation(Role::Reader, 3),
    };
    assert_eq!(
        ticket.to_string(),
        "swift1v2vmcb3estyp2lorpc6yn75gjxaxdzbuija52sv6mrnmxsli66nqblvkyedwjfhq7uw5c6f5q372mtobohsdiqsb3vfl4zc2zpewr543rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oagdjrgaxdalrqfyytuobqgaya6wzsgaydcotemi4duorrlu5dsddbfzsxqylnobwgkorygcfiry65oqe7dfp5klns2pf2lvzmuzyjx4ozieq36n2iqanub5xvyaadambqgaydambqgaydambqgaydvdonf754ghhlaczn6pf665yhczcjofoiu7apmz7brke5a7zeqvbefl5m2qj3yapbfwbir6pernzdlu2ujcrrlzi77o3v6n23b24fy4ce6mtzzxylz6r7q5q"
    );
}

#[test]
fn each_action_has_its_number() {
    // The first byte of an encoded action, behind what every transaction has; the order is part of the format.
    let founder = Peer::founder();
    let invitation = founder.invitation(Role::Admin, 1);
    let node = key(2).id();
    let actions = [
        founder.join_action(&key(2), 2, invitation),
        Action::RemoveNode { node },
        Action::UpdateNode { node, change: NodeChange::ValidatorWeight(1) },
        add("a", 1),
        remove("a", 1),
        Action::Upgrade { version: 2, from_height: 9 },
        Action::Void {},
    ];
    for (number, action) in actions.into_iter().enumerate() {
        let network = NetworkId::default();
        let body =
            Transaction { network, author: node, sequence: 0, valid_until_ms: 0, on_behalf_of: None, action };
        let bytes = SignedTransaction::sign(&key(2), body).to_bytes();
        let before = 32 + 32 + 1 + 1 + 1;
        assert_eq!(usize::from(bytes[before]), number);
    }
}
