//! Every reader of what comes from outside, with bytes that nobody honest would send. `PROPTEST_CASES` makes it more of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use proptest::{collection::vec, prelude::*, sample::Index};
use swift_chain::*;
use swift_fuzz::TARGETS;
use swift_p2p::{
    driver::JoinOffer,
    gossip::consensus_frames,
    swarm::message::{Confirm, Message as _, Offer},
};

fn key(number: u8) -> NodeKey {
    NodeKey::from_seed([number; 32])
}

fn chain() -> (Genesis, SignedTransaction, SealedBlock) {
    let body = GenesisBody {
        protocol_version: PROTOCOL_VERSION,
        nonce: [9; 16],
        time_ms: 1,
        founder: key(1).id(),
        address: "10.0.0.1:8000".parse().unwrap(),
        params: NetworkParams::default(),
        origin: None,
    };
    let genesis = Genesis::sign(&key(1), body);
    let file = FileEntry {
        name: "dir/ä".parse().unwrap(),
        size: 1 << 40,
        file_id: Hash::from_bytes([3; 32]),
        manifest_hash: Hash::from_bytes([4; 32]),
    };
    let transaction = Transaction {
        network: genesis.id(),
        author: key(1).id(),
        sequence: 1,
        valid_until_ms: 1 << 40,
        on_behalf_of: None,
        action: Action::AddFile { file, replaces: None },
    };
    let signed = SignedTransaction::sign(&key(1), transaction);
    let (network, head) = (genesis.id(), Head::of_genesis(&genesis));
    let checked = signed.clone().check(&network).unwrap();
    let draft = draft_block(&key(1), &network, &&MemoryState::new(&genesis), &head, 2, [&checked]).unwrap();
    let block = draft.block.block().clone();
    let certificate = Certificate::sign_alone(&key(1), &network, 1, block.header.hash());
    (genesis, signed, SealedBlock { block, certificate })
}

fn ticket(genesis: &Genesis) -> Ticket {
    let terms =
        InvitationTerms { inviter: key(1).id(), role: Role::Reader, nonce: [5; 16], not_after_ms: 1 << 40 };
    let invitation = Invitation::sign(&key(1), &genesis.id(), terms);
    let checkpoint = Checkpoint { height: 0, hash: Head::of_genesis(genesis).hash };
    Ticket {
        inviter: key(1).id(),
        network: genesis.id(),
        checkpoint,
        addresses: vec!["10.0.0.1:8000".parse().unwrap()],
        invitation,
    }
}

/// Values that a target takes, where they take some work to come by.
fn valid(target: &str) -> Vec<Vec<u8>> {
    let (genesis, signed, sealed) = chain();
    let text = |text: &str| vec![text.as_bytes().to_vec()];
    let file = swift_chunks::FileId::from_bytes([3; 32]);
    match target {
        "transaction" => vec![signed.to_bytes()],
        "block" => vec![sealed.block.to_bytes(), sealed.to_bytes()],
        "certificate" => vec![sealed.certificate.to_bytes()],
        "genesis" => vec![genesis.to_bytes()],
        "chain_stream" => {
            vec![[genesis_frame(&genesis.to_bytes()), block_frame(&sealed.to_bytes())].concat()]
        }
        "manifest" => vec![[&52_u64.to_le_bytes()[..], &[7; 52]].concat()],
        "offer" => vec![Offer { file, slices: vec![0, 3], take: 1, map: None }.encode()],
        "confirmation" => vec![Confirm { file, slice: 3 }.encode()],
        "join_offer" => {
            vec![JoinOffer::sign(&key(2), &ticket(&genesis), "10.0.0.2:1".parse().unwrap()).to_bytes()]
        }
        "consensus" => {
            let vote =
                Vote { kind: VoteKind::Prevote, height: 1, round: 0, block: None, validator: key(1).id() };
            let signed = consensus::SignedVote::sign(&key(1), &genesis.id(), vote);
            vec![consensus_frames::encode(&consensus::ConsensusMessage::Vote(signed))]
        }
        "offer_form" => text("filename=dir%2Fa&chunk=1&total_chunks=2&start_byte=0&end_byte=9&sha1=x"),
        "multipart_name" => text(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.iso\"\r\n\r\nx\r\n--b--\r\n",
        ),
        "range" => [text("bytes=0-9"), text("bytes=-5, 7-"), text("bytes=9-8,,1-1")].concat(),
        "token" => text("Bearer sst_abc"),
        "ticket" => vec![ticket(&genesis).to_string().into_bytes()],
        "file_name" => [text("dir/ä.txt"), text("a/CON"), text("a/../b")].concat(),
        "pem_key" => vec![key(1).to_pem().unwrap().as_bytes().to_vec(), key(1).id().to_string().into_bytes()],
        "configuration" => text("port = 8000\nmachine_ip = \"10.0.0.1\"\n"),
        _ => Vec::new(),
    }
}

/// What happens to bytes on their way.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index),
    Append(Vec<u8>),
    /// What a length prefix of the largest number looks like.
    Huge(Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let any_change = prop_oneof![
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        any::<Index>().prop_map(Change::Remove),
        vec(any::<u8>(), 1..40).prop_map(Change::Append),
        any::<Index>().prop_map(Change::Huge),
    ];
    vec(any_change, 1..5)
}

fn changed(mut bytes: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for change in changes {
        let len = bytes.len();
        match change {
            Change::Flip(at, bit) if len > 0 => bytes[at.index(len)] ^= 1 << bit,
            Change::Cut(at) => bytes.truncate(at.index(len + 1)),
            Change::Insert(at, more) => {
                let at = at.index(len + 1);
                bytes.splice(at..at, more);
            }
            Change::Remove(at) if len > 0 => drop(bytes.remove(at.index(len))),
            Change::Append(more) => bytes.extend(more),
            Change::Huge(at) => {
                let at = at.index(len + 1);
                bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
            }
            Change::Flip(..) | Change::Remove(_) => {}
        }
    }
    bytes
}

#[test]
fn sound_values_pass_every_reader() {
    for (name, body) in TARGETS {
        body(&[]);
        valid(name).iter().for_each(|bytes| body(bytes));
    }
    // They are what they are meant to be, or changing them would try nothing.
    let (genesis, signed, sealed) = chain();
    assert!(SignedTransaction::from_bytes(&signed.to_bytes()).is_ok());
    assert!(SealedBlock::from_bytes(&sealed.to_bytes()).is_ok());
    assert!(ticket(&genesis).to_string().parse::<Ticket>().is_ok());
    assert_eq!(swift_http::untrusted::multipart_name(&valid("multipart_name")[0]).as_deref(), Some("a.iso"));
    assert_eq!(swift_http::untrusted::offer_form(&valid("offer_form")[0]).as_deref(), Some("dir/a"));
    assert_eq!(swift_http::untrusted::range(b"bytes=0-9", 100), vec![0..10]);
    assert!(swiftserve_node::Config::check_text("port = 8000\nmachine_ip = \"10.0.0.1\"\n").is_ok());
    assert!(
        Offer::decode(&valid("offer")[0]).is_ok() && JoinOffer::from_bytes(&valid("join_offer")[0]).is_ok()
    );
}

/// Beginnings for the fuzzer, in a folder that `SWIFT_FUZZ_CORPUS` names.
#[test]
fn seeds_are_written_where_somebody_wants_them() {
    let Some(folder) = std::env::var_os("SWIFT_FUZZ_CORPUS") else { return };
    for (name, _) in TARGETS {
        let folder = std::path::Path::new(&folder).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, bytes) in valid(name).iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), bytes).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_come_to_an_end_in_every_reader(bytes in vec(any::<u8>(), 0..400)) {
        for (_, body) in TARGETS {
            body(&bytes);
        }
    }

    #[test]
    fn sound_values_that_were_changed_do_no_harm(changes in changes()) {
        for (name, body) in TARGETS {
            for bytes in valid(name) {
                body(&changed(bytes, changes.clone()));
            }
        }
    }
}
