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
    let mut founder = Peer::founder();
    founder.submit(add("a", 1)).unwrap();
    assert_eq!(
        hex(&founder.blocks(1)[0].to_bytes()),
        "014b1798e872bbdecc9cd83b23847a3d6e49f8781393660e6e06e6c1bec091c5a4f2d795ffbc318a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c853759a0b8e0fead98c2d9061a48286f5cfcbf059fa04324392be89d3cc83c84bd90b4eba877f2f8ff2e62041e1458bec7fb958a082f7ae5f98bcd769c4fc17d599fcb9ec0867fc20952f7010281f0a538313cc7da272decd3c9f39deb1c9e83014b1798e872bbdecc9cd83b23847a3d6e49f8781393660e6e06e6c1bec091c5a48a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c01b2a7baffbc3100030161e8070101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010100b5ae6a7f1e613c78382aeb0e817c9de76f2ca4da27a5f8427382b56c94309341e50a51f096db144f4483ac6a6ade36e927b283c17a5c7ab54a1725cfe4bf9a070b96c1f7443f9dc41aa861a78aaee083013645a4edb270237a987faf4197692f531ce9ff46670434c09765a0d2f88bcb25824be96e4fa7803bebcdf3b61ccf01010003f4d1ba6b4ddff939be9ec634e0f20b80b9d653a81a71e107cb5bb9bf52dbdb018a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c8f552c3f24e9bbc2ba2af5ee8c14b8ee1b98d52554ae1a2245b5a6459c62ef778e44dec3d76bf370e8395e4d18f32dcf76364034ddaacd623868ebc05d60f500"
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
