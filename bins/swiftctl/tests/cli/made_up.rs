//! Ledgers for made-up nodes.

use std::path::Path;

use swift_chain::{
    Action, Genesis, GenesisBody, Input, Label, LedgerDb, NetworkParams, NodeKey, Now, PROTOCOL_VERSION,
    Replica, RequestId,
};

const START_MS: u64 = 1_700_000_000_000;

/// A network with one node: its key, and its ledger in a folder, with a block for each action, a second apart.
pub(crate) fn ledger(folder: &Path, label: Option<&str>, actions: Vec<Action>) -> (NodeKey, Replica) {
    let key = NodeKey::from_seed([7; 32]);
    let body = GenesisBody {
        protocol_version: PROTOCOL_VERSION,
        nonce: [1; 16],
        time_ms: START_MS,
        founder: key.id(),
        address: "127.0.0.1:8000".parse().unwrap(),
        params: NetworkParams::default(),
        origin: None,
    };
    let genesis = Genesis::sign(&key, body);
    let db = LedgerDb::create(&folder.join("ledger.db"), &genesis).unwrap();
    let mut replica = Replica::new(key.clone(), db).unwrap();
    for (number, action) in (1..).zip(actions) {
        let on_behalf_of = label.map(|label| Label::try_from(label.to_owned()).unwrap());
        let submit = Input::Submit { request: RequestId(number), action, on_behalf_of };
        replica.step(Now::at_ms(START_MS + number * 1000), vec![submit]).unwrap();
    }
    (key, replica)
}
