//! Those who write: they add, replace and remove files through any node, and ask again when no answer comes.

use std::time::Duration;

use swift_chain::{
    Action, FileEntry, Hash, MemoryLedger, NetworkParams, NodeChange, NodeId, RequestId, Settled, SubmitError,
};

use super::{
    census::Event,
    world::{Happening, World, address},
};
use crate::dice::Dice;

/// Attempts after which a client gives up.
const TRIES_MAX: u32 = 4;

/// One who writes, one write at a time.
#[derive(Debug, Default)]
pub(crate) struct Client {
    attempt: Option<Attempt>,
    /// Which of its happenings is still meant.
    turn: u64,
}

#[derive(Debug)]
struct Attempt {
    action: Action,
    via: usize,
    request: RequestId,
    tries: u32,
}

/// A request that a node has not answered.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) by: Asker,
    pub(crate) action: Action,
}

/// What a node is asked to write after healing.
#[derive(Debug)]
pub(crate) struct LastWrite {
    pub(crate) action: Action,
    pub(crate) is_final: bool,
}

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    Client(usize),
    Operator,
    /// The last write of a node, after healing.
    Last,
}

impl World {
    /// Brings a request to a node.
    pub(crate) fn request(&mut self, by: Asker, via: usize, action: Action) -> RequestId {
        let request = RequestId(self.next_id());
        self.trace.note(self.now, format_args!("{by:?} asks {via}: {}", Short(&action)));
        self.asked.insert(request, Asked { by, action: action.clone() });
        let way = self.dice.time(Duration::from_micros(200), Duration::from_millis(5));
        self.after(way, Happening::Request { to: via, request, action });
        request
    }

    /// A node has answered.
    pub(crate) fn settle(&mut self, at: usize, request: RequestId, outcome: &Result<Settled, SubmitError>) {
        let Some(Asked { by, action }) = self.asked.remove(&request) else { return };
        let author = self.machines[at].id;
        match outcome {
            Ok(settled) => {
                self.trace.note(self.now, format_args!("{at} tells {by:?}: final, {settled:?}"));
                self.census.count(Event::Acknowledged);
                self.numbers.acknowledged += 1;
                self.writes.accepts(author, action, *settled);
            }
            Err(error) => {
                self.trace.note(self.now, format_args!("{at} tells {by:?}: {error}"));
                self.census.count(Event::Refused);
                let chain = self.machines[at].ledger().map(MemoryLedger::blocks).unwrap_or_default();
                self.writes.refuses(author, &action, &error.to_string(), chain);
            }
        }
        match by {
            Asker::Client(number) => self.answer_client(number, request),
            Asker::Operator => self.answer_operator(request, outcome.is_ok()),
            Asker::Last => {
                if let Some(last) = self.last_writes.get_mut(&at) {
                    last.is_final = outcome.is_ok();
                }
            }
        }
    }

    fn answer_client(&mut self, number: usize, request: RequestId) {
        // Some answers get lost on the way.
        let is_heard = !self.is_stormy || !self.dice.chance(50);
        let client = &mut self.clients[number];
        if is_heard && client.attempt.as_ref().is_some_and(|attempt| attempt.request == request) {
            client.attempt = None;
            client.turn += 1;
            let turn = client.turn;
            let thinks = self.dice.time(Duration::from_millis(10), Duration::from_millis(800));
            self.after(thinks, Happening::Client { number, turn });
        }
    }

    /// A client thinks of something to write, or asks again.
    pub(crate) fn client_turn(&mut self, number: usize, turn: u64) {
        if self.clients[number].turn != turn || !self.is_stormy {
            return;
        }
        let running = self.honest_on();
        let attempt = match self.clients[number].attempt.take() {
            Some(Attempt { action, via, tries, .. }) if tries < TRIES_MAX => {
                self.census.count(Event::Retry);
                let other = self.dice.chance(300).then(|| self.dice.pick(&running)).flatten();
                Some((action, other.unwrap_or(via), tries + 1))
            }
            _ => self.dice.pick(&running).and_then(|via| {
                let ledger = self.machines[via].ledger()?;
                let action = think(&mut self.dice, ledger, self.machines[via].id, self.plan.names)?;
                Some((action, via, 1))
            }),
        };
        let client = &mut self.clients[number];
        client.turn += 1;
        let turn = client.turn;
        if let Some((action, via, tries)) = attempt {
            let request = self.request(Asker::Client(number), via, action.clone());
            self.clients[number].attempt = Some(Attempt { action, via, request, tries });
        }
        let patience = self.dice.time(Duration::from_secs(1), Duration::from_secs(6));
        self.after(patience, Happening::Client { number, turn });
    }

    /// A node is to write once more.
    pub(crate) fn expect_last_write(&mut self, at: usize) {
        let id = self.next_id();
        let file_id = Hash::from_bytes(self.dice.bytes());
        let action = match (format!("last/{id}").parse(), address(usize::try_from(id).unwrap_or(0) % 60_000))
        {
            // Where files are few, there may be no room for another.
            (Ok(name), _) if self.plan.params == NetworkParams::default() => {
                let file = FileEntry { name, size: 1, file_id, manifest_hash: file_id };
                Action::AddFile { file, replaces: None }
            }
            (_, Ok(address)) => {
                let node = self.machines[at].id;
                Action::UpdateNode { node, change: NodeChange::Address(address) }
            }
            _ => return,
        };
        self.last_writes.insert(at, LastWrite { action, is_final: false });
    }
}

/// Something to write, looking at what a node has.
fn think(dice: &mut Dice, ledger: &MemoryLedger, node: NodeId, names: u32) -> Option<Action> {
    let files: Vec<_> = ledger.memory_state().files().collect();
    let some = dice.pick(&files);
    match (dice.number(0, 99), some) {
        (0..20, Some(file)) => {
            let file = &file.entry;
            Some(Action::RemoveFile { name: file.name.clone(), file_id: file.file_id })
        }
        (20..40, Some(file)) => {
            let entry = FileEntry { file_id: Hash::from_bytes(dice.bytes()), ..file.entry.clone() };
            Some(Action::AddFile { file: entry, replaces: Some(file.file_id()) })
        }
        (40..50, Some(file)) => Some(Action::AddFile { file: file.entry.clone(), replaces: None }),
        (50..56, _) => {
            let address = address(dice.index(200)).ok()?;
            Some(Action::UpdateNode { node, change: NodeChange::Address(address) })
        }
        _ => {
            // Files and directories get into each other's way.
            let number = dice.index(names as usize);
            let name = match number % 4 {
                2 => format!("d{}", number / 4),
                3 => format!("d{}/x", number / 4),
                _ => format!("f{number}"),
            };
            let (file_id, manifest_hash) = (Hash::from_bytes(dice.bytes()), Hash::from_bytes(dice.bytes()));
            let name: swift_chain::FileName = name.parse().ok()?;
            let live = files.iter().find(|file| file.entry.name == name);
            let replaces = live.map(|file| file.file_id());
            let file = FileEntry { name, size: u64::from(dice.number(0, 9)), file_id, manifest_hash };
            Some(Action::AddFile { file, replaces })
        }
    }
}

/// An action in a word or two.
pub(crate) struct Short<'a>(pub(crate) &'a Action);

impl std::fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Action::AddFile { file, replaces: None } => write!(f, "add {}", file.name),
            Action::AddFile { file, replaces: Some(_) } => write!(f, "replace {}", file.name),
            Action::RemoveFile { name, .. } => write!(f, "remove {name}"),
            Action::AddNode { node, .. } => write!(f, "take in {}", node.short()),
            Action::RemoveNode { node } => write!(f, "remove {}", node.short()),
            Action::UpdateNode { node, change } => write!(f, "{}: {change:?}", node.short()),
            Action::Upgrade { version, .. } => write!(f, "upgrade to {version}"),
            Action::Void {} => f.write_str("nothing"),
        }
    }
}
