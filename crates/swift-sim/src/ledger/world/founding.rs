//! The network as it is when a run begins.

use std::{collections::BTreeMap, time::Duration};

use swift_chain::{
    Action, Address, Genesis, GenesisBody, Input, Invitation, InvitationTerms, JoinRequest, MemoryLedger,
    NetworkId, NodeChange, NodeId, NodeKey, Now, Output, PROTOCOL_VERSION, Poisoned, Replica, RequestId,
    Role, SealedBlock,
};

use crate::{
    dice::Dice,
    ledger::{
        checkers::{Checked, Checker, Violation},
        clock::{Clock, START_MS},
        liar::Liar,
        machine::{Machine, Power, Side},
        plan::Plan,
    },
};

/// How long an invitation holds: no wrong clock is that wrong.
const INVITATION_MS: u64 = 1000 * 24 * 60 * 60 * 1000;

pub(super) struct Founded {
    pub(super) genesis: Genesis,
    /// Those that exist are off and have the founder's chain on their disks.
    pub(super) machines: Vec<Machine>,
    pub(super) places: BTreeMap<NodeId, Vec<usize>>,
    pub(super) liar: Option<Liar>,
}

/// Founds the network and takes everybody in, by ordinary transactions.
pub(super) fn found(dice: &mut Dice, plan: &Plan) -> Checked<Founded> {
    let mut machines: Vec<Machine> = sides(plan)
        .into_iter()
        .map(|side| {
            let key = NodeKey::from_seed(dice.bytes());
            Machine::new(key, side, clock(dice))
        })
        .collect();
    let genesis = Genesis::sign(
        &machines[0].key,
        GenesisBody {
            protocol_version: PROTOCOL_VERSION,
            nonce: dice.bytes(),
            time_ms: START_MS - 60_000,
            founder: machines[0].id,
            address: address(0)?,
            params: plan.params,
            origin: None,
        },
    );
    let ledger = take_in(dice, plan, &genesis, &machines)?;
    let present = machines.len() - plan.newcomers;
    for machine in &mut machines[..present] {
        machine.power = Power::Off(Box::new(ledger.clone()));
    }
    let mut places: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
    for (at, machine) in machines.iter().enumerate() {
        places.insert(machine.id, vec![at]);
    }
    let mut liar = None;
    if let Some(how) = plan.liar {
        let first = 1;
        let mut twin = None;
        if how.is_twofold {
            let (key, clock) = (machines[first].key.clone(), machines[first].clock.clone());
            let mut second = Machine::new(key, Side::Liar, clock);
            second.power = Power::Off(Box::new(ledger));
            places.entry(second.id).or_default().push(machines.len());
            twin = Some(machines.len());
            machines.push(second);
        }
        liar = Some(Liar::new(machines[first].key.clone(), genesis.id(), how.twists, (first, twin)));
    }
    Ok(Founded { genesis, machines, places, liar })
}

/// The founder and its fellow validators, those without a vote, a forger, those who come later. The liar is the second
/// validator.
fn sides(plan: &Plan) -> Vec<Side> {
    let mut sides = vec![Side::Honest; plan.validators + plan.followers];
    if plan.liar.is_some() {
        sides[1] = Side::Liar;
    }
    if plan.has_forger {
        sides.push(Side::Forger);
    }
    sides.extend(std::iter::repeat_n(Side::Honest, plan.newcomers));
    sides
}

/// Most clocks are right to a second or two; some are wrong by minutes.
fn clock(dice: &mut Dice) -> Clock {
    let drift_ppm = i32::try_from(dice.number(0, 10_000)).unwrap_or(0) - 5_000;
    let wrong_ms = if dice.chance(150) { 300_000 } else { 2_000 };
    let error_ms = i64::from(dice.number(0, 2 * wrong_ms)) - i64::from(wrong_ms);
    Clock::new(drift_ppm, dice.time(Duration::ZERO, Duration::from_secs(1000)), error_ms)
}

pub(crate) fn address(number: usize) -> Checked<Address> {
    let text = format!("10.{}.{}.1:8000", number / 250, number % 250);
    text.parse().map_err(|_| Violation::new(Checker::Health, format!("{text} is no address")))
}

/// What takes a node in when a member submits it.
pub(crate) fn admission(
    network: &NetworkId,
    inviter: &NodeKey,
    joiner: &NodeKey,
    role: Role,
    (number, nonce): (usize, [u8; 16]),
) -> Checked<Action> {
    let not_after_ms = START_MS + INVITATION_MS;
    let terms = InvitationTerms { inviter: inviter.id(), role, nonce, not_after_ms };
    let invitation = Box::new(Invitation::sign(inviter, network, terms));
    let (node, address) = (joiner.id(), address(number)?);
    let request = JoinRequest { node, address: address.clone(), nonce };
    let joiner_signature = joiner.sign(network, &request);
    Ok(Action::AddNode { node, address, invitation, joiner_signature })
}

/// The founder's ledger when all who are there at the beginning are members, and the validators have their weights.
fn take_in(dice: &mut Dice, plan: &Plan, genesis: &Genesis, machines: &[Machine]) -> Checked<MemoryLedger> {
    let founder = &machines[0];
    let store = MemoryLedger::new(genesis);
    let mut replica = Replica::new(founder.key.clone(), store)
        .map_err(|error| Violation::new(Checker::Health, error.to_string()))?;
    let (network, present) = (genesis.id(), machines.len() - plan.newcomers);
    let mut admissions = Vec::new();
    for (number, machine) in machines[..present].iter().enumerate().skip(1) {
        let is_admin = machine.is_honest() && number < plan.validators;
        let role = if is_admin { Role::Admin } else { Role::Publisher };
        let unique = (number, dice.bytes());
        admissions.push(admission(&network, &founder.key, &machine.key, role, unique)?);
    }
    settle(&mut replica, START_MS - 50_000, admissions)?;
    // Weights differ now and then, but nobody has a third: the liar must not be able to do harm by itself.
    let is_even = plan.validators < 3 || dice.chance(700);
    let mut weights = Vec::new();
    for (number, machine) in machines[..plan.validators].iter().enumerate().skip(1) {
        let heavy = !is_even && machine.is_honest() && dice.chance(400);
        let change = NodeChange::ValidatorWeight(if heavy && number > 1 { 2 } else { 1 });
        weights.push(Action::UpdateNode { node: machine.id, change });
    }
    settle(&mut replica, START_MS - 40_000, weights)?;
    Ok(replica.into_store())
}

/// The ledger of a newcomer that was given the chain: every block checked.
pub(super) fn pulled(genesis: &Genesis, key: NodeKey, blocks: Vec<SealedBlock>) -> Checked<MemoryLedger> {
    let broken = |what: String| Violation::new(Checker::Audit, format!("a newcomer: {what}"));
    let replica = Replica::new(key, MemoryLedger::new(genesis));
    let mut replica = replica.map_err(|error| broken(error.to_string()))?;
    let input = Input::Blocks { request: RequestId(0), blocks };
    let outputs = replica.step(Now { wall_ms: START_MS, steady: Duration::ZERO }, vec![input]);
    for output in outputs.map_err(|error| broken(error.to_string()))? {
        if let Output::Followed { outcome: Err(error), .. } = output {
            return Err(broken(error.to_string()));
        }
    }
    Ok(replica.into_store())
}

/// Has a sole validator decide on actions at once.
fn settle(replica: &mut Replica<MemoryLedger>, wall_ms: u64, actions: Vec<Action>) -> Checked {
    let submit = |(number, action)| Input::Submit { request: RequestId(number), action, on_behalf_of: None };
    let inputs: Vec<_> = (0..).zip(actions).map(submit).collect();
    if inputs.is_empty() {
        return Ok(());
    }
    let count = inputs.len();
    let now = Now { wall_ms, steady: Duration::ZERO };
    let broken = |error: Poisoned| Violation::new(Checker::Health, error.to_string());
    let mut outputs = replica.step(now, inputs).map_err(broken)?;
    while replica.has_work() {
        outputs.extend(replica.step(now, Vec::new()).map_err(broken)?);
    }
    let accepted = outputs.iter().filter(|output| matches!(output, Output::Settled { outcome: Ok(_), .. }));
    if accepted.count() == count {
        return Ok(());
    }
    Err(Violation::new(Checker::Health, format!("the network cannot be founded: {outputs:?}")))
}
