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
        "010909090909090909090909090909090980d095ffbc318a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c0d31302e302e302e313a3830303080ade20480808080808080028010ebfc6260c2275591defb23033514d8ba8cf016d105487aacfcf43623460dc32898b183995ff0b7a8e90c07f2ca4465e7b544a39cb6e2c0ce2e5088f1580e8d0b"
    );
    assert_eq!(genesis.id().to_string(), "4b1798e872bbdecc9cd83b23847a3d6e49f8781393660e6e06e6c1bec091c5a4");
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
        "014b1798e872bbdecc9cd83b23847a3d6e49f8781393660e6e06e6c1bec091c5a485d095ffbc318a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c2495962357d2a42eb002ae664229671d9862c00bfc35440f7d3f48cf36a5dfe6bd90b4eba877f2f8ff2e62041e1458bec7fb958a082f7ae5f98bcd769c4fc17da460a19246a04f9ee2f8a2e2e30c14c4d19b1d67300f60168a0805ecbb3510db014b1798e872bbdecc9cd83b23847a3d6e49f8781393660e6e06e6c1bec091c5a48a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c01c0d4d2ffbc3100030161e8070101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010100a3b8fee6bc96cc22f45e1e4bda79d7a5f8ef13fc0234f93cde804379e19f7622bc5f0b4cea019fb5c05d30179ca508a2ee50477a276a2f1e899521b115e5e20814ce34f1bd07c2c44229ca39e24b3ea3b05e3ca7c9f3e1099fb49080b997c77175bd0032d1b0d2f64a876f290a6b17c78060c88e25f207919d7eb0d30b1b3f0a0100aa775b3fe35ec9fcc9a1c7411e2d3622c732836034724f87e1c05313a9d92faf018a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c8d8bd5a33ebdadb8762cdc7d02ca91356ce5adef02728f440f991e7270387bc0f32b5f1ec032699535e110810a105a7fa5c0bfdc1471e959a3623b2f124e5308"
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
        "swift1jmlzr2dsxppmzhgyhmryi6r5nze7q6atsnta43qg43a35qerywsaasyxtduhfo66zsonqozdqr5d23sj7b4bhe3gbzxanzwbx3ajdrnerkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oagdjrgaxdalrqfyytuobqgaya6wzsgaydcotemi4duorrlu5dsddbfzsxqylnobwgkorygcfiry65oqe7dfp5klns2pf2lvzmuzyjx4ozieq36n2iqanub5xvyaadambqgaydambqgaydambqgaydvdonf754gftlbtxwz5p6qymyn2clez5fxw4c6mljhyxo44h2gv3jcnuwj7iezulrnf3uiavnqq3hzurqwerbvoouuzr7joevajksd55k5jmqqlad2hx2wdi"
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
