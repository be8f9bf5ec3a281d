// The members of the network: who they are, how they are, and who may join.

import { ask, askAll, may } from './api.js';
import { h, heading, keyed, mark, say, svg, table } from './dom.js';
import { copyButton, dialog, notice } from './dialog.js';
import { bytes, count, date, nodeName, plain, plural, short, when } from './format.js';
import { region } from './live.js';

const ROLES = { admin: 'everything', publisher: 'also adds files', reader: 'only fetches' };
const KEEPS = { all: 'keeps all', none: 'keeps nothing', some: 'keeps some' };

function roleSelect(id, role) {
  return h('select', { id }, Object.entries(ROLES).map(([name, what]) => h('option', { value: name, selected: name === role }, `${name}: ${what}`)));
}

async function changeRole(node) {
  const select = roleSelect('role', node.role);
  const isDone = await dialog({
    title: 'Change the role',
    body: [h('p', null, 'Of the node ', nodeName(node.node_id), ` at ${plain(node.address)}.`), h('div', { class: 'field' }, h('label', { for: 'role' }, 'Role'), select)],
    confirm: 'Change',
    act: () => ask(`/v1/nodes/${node.node_id}`, { method: 'PATCH', body: { role: select.value } }),
  });
  if (isDone) notice(`${short(node.node_id)} is ${select.value} now.`);
}

async function changeWeight(node) {
  const field = h('input', { id: 'weight', type: 'number', min: 0, max: 1000000, required: true, value: node.validator_weight });
  let answer = null;
  const isDone = await dialog({
    title: 'Validators make the blocks',
    body: [h('p', null, 'How much does the vote of ', nodeName(node.node_id), ' count? 0 makes it no validator. One validator, or four, are sensible; two or three equal ones are worse than one.'),
      h('div', { class: 'field' }, h('label', { for: 'weight' }, 'Weight'), field)],
    confirm: 'Change',
    act: async () => { answer = await ask(`/v1/nodes/${node.node_id}`, { method: 'PATCH', body: { weight: Number(field.value) } }); },
  });
  if (isDone) notice(answer.warning ?? 'The validators are changed.', { isWrong: Boolean(answer.warning) });
}

async function remove(node) {
  const isDone = await dialog({
    title: 'Remove this node for good?',
    body: h('p', null, nodeName(node.node_id), ` at ${plain(node.address)} is cut off by every member. Its key never comes back; the machine can join again with a new data folder.`),
    confirm: 'Remove',
    isDanger: true,
    act: () => ask(`/v1/nodes/${node.node_id}`, { method: 'DELETE' }),
  });
  if (!isDone) return;
  notice(`${short(node.node_id)} is removed.`);
  // Its row goes, and the button that had the focus with it.
  document.getElementById('title').focus();
}

/** A ticket's picture, of squares. */
function picture(rows) {
  const edge = 4;
  const size = rows.length + 2 * edge;
  const dark = rows.flatMap((row, y) => [...row.matchAll(/1+/g)].map((run) => `M${run.index + edge} ${y + edge}h${run[0].length}v1h-${run[0].length}z`));
  return svg('svg', { id: 'qr', viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': 'The ticket as a QR code', 'shape-rendering': 'crispEdges' },
    svg('rect', { width: size, height: size, fill: '#fff' }), svg('path', { d: dark.join(''), fill: '#000' }));
}

async function invite() {
  const role = roleSelect('invite-role', 'publisher');
  const hours = h('select', { id: 'invite-hours' }, [[1, 'an hour'], [24, 'a day'], [168, 'a week']].map(([value, text]) => h('option', { value, selected: value === 24 }, text)));
  let made = null;
  const isDone = await dialog({
    title: 'Invite a machine',
    body: h('div', { class: 'stack' },
      h('div', { class: 'field' }, h('label', { for: 'invite-role' }, 'Role'), role),
      h('div', { class: 'field' }, h('label', { for: 'invite-hours' }, 'Works for'), hours)),
    confirm: 'Make a ticket',
    act: async () => { made = await ask('/v1/invites?qr', { method: 'POST', body: { role: role.value, expires_s: Number(hours.value) * 3600 } }); },
  });
  if (isDone) await showTicket(made);
}

function showTicket({ ticket, role, expires_ms: expires, qr }) {
  const shown = h('code', { id: 'ticket', tabindex: 0 }, ticket);
  const line = h('code', null, 'swiftserve-node --join TICKET');
  const copy = copyButton('copy-ticket', 'Copy the ticket', () => ticket, shown);
  copy.autofocus = true;
  return dialog({
    title: 'The ticket',
    body: h('div', { class: 'stack' },
      h('p', null, `Whoever has it joins as ${role}, once, until ${date(expires)}. Send it like a password. On the new machine: `, line),
      h('div', { class: 'ticket' }, picture(qr), shown), h('div', null, copy)),
    confirm: 'Done',
    isQuestion: false,
  });
}

/** What the node could still take. */
const room = ({ available_bytes: left }) => h('div', { class: 'muted' }, left === null ? 'room not known' : `room for ${bytes(left)}`);

function row(first, me) {
  const [state, role, lag, disk] = [h('td'), h('td', { class: 'wide' }), h('td', { class: 'wide' }), h('td', { class: 'wide' })];
  const act = may('admin') ? h('td') : null;
  const [address, below] = [h('div', { class: 'muted' }), h('div', { class: 'narrow muted' })];
  const node = h('tr', { 'data-node': first.node_id },
    h('th', { scope: 'row' }, nodeName(first.node_id), first.is_self ? h('span', { class: 'muted' }, ' this node') : null, address, below), state, role, lag, disk, act);
  let now = first;
  if (act) {
    const button = (label, run) => h('button', { type: 'button', class: label.toLowerCase(), 'aria-label': `${label} ${first.is_self ? 'of this node' : short(first.node_id)}`, onclick: () => run(now) }, label);
    const others = first.is_self ? [] : [button('Role', changeRole), button('Remove', remove)];
    act.append(h('div', { class: 'actions' }, button('Weight', changeWeight), others));
  }
  return {
    node,
    update(next) {
      now = next;
      mark(node, 'data-online', next.online);
      const seen = next.is_self ? null : next.heard_ms ? ['heard ', when(next.heard_ms)] : 'not heard since this node started';
      state.replaceChildren(h('span', { class: next.online ? 'dot on' : 'dot' }, next.online ? 'online' : 'away'), h('div', { class: 'muted' }, seen));
      const isValidator = next.validator_weight > 0;
      role.replaceChildren(next.role, isValidator ? h('div', { class: 'muted' }, `validator, weight ${count(next.validator_weight)}`) : '');
      say(address, next.version ? `${plain(next.address)}, version ${next.version}` : plain(next.address));
      const behind = next.height === null ? null : Math.max(0, me().height - next.height);
      say(lag, behind === null ? 'not known' : behind === 0 ? 'level' : `${plural(behind, 'block')} behind`);
      disk.replaceChildren(...(next.holds ? [bytes(next.holds.bytes), h('div', { class: 'muted' }, `${plural(next.holds.files, 'file')}, ${KEEPS[next.keeps]}`), room(next)] : ['not known']));
      say(below, [next.role, isValidator ? 'validator' : null, next.holds ? bytes(next.holds.bytes) : null, behind > 0 ? lag.textContent : null].filter(Boolean).join(', '));
    },
  };
}

export function showNodes(main, { signal }) {
  const button = h('button', { id: 'invite', type: 'button', class: 'main', onclick: invite }, 'Invite a machine');
  const box = h('div');
  main.append(heading('Nodes', may('admin') ? button : null), box);
  let mine = { height: 0 };
  region(box, {
    types: ['node', 'ledger'],
    signal,
    load: () => askAll('/v1/nodes', 'nodes', { signal }),
    make: (node) => {
      const { node: table_, body } = table('nodes', 'Nodes', ['Node', 'State', ...['Role', 'Ledger', 'Holds'].map((text) => ({ text, class: 'wide' })), ...(may('admin') ? ['Actions'] : [])]);
      const alone = h('p', { class: 'muted' }, 'This node is alone. ', may('admin') ? 'Invite a machine to have a second copy of every file.' : '');
      node.append(table_, alone);
      const fill = keyed(body, (one) => one.node_id, (one) => row(one, () => mine));
      return (nodes) => {
        mine = nodes.find((one) => one.is_self) ?? mine;
        const isPowerless = may('admin') && mine.role !== 'admin';
        button.disabled = isPowerless;
        button.title = isPowerless ? 'This node is no admin of the network: ask one that is' : '';
        alone.hidden = nodes.length > 1;
        fill([...nodes].sort((a, b) => b.is_self - a.is_self || b.online - a.online || (a.node_id < b.node_id ? -1 : 1)));
      };
    },
  });
}
