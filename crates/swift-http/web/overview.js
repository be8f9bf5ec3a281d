// How the node and its network are doing.

import { line } from './actions.js';
import { ask } from './api.js';
import { empty, h, heading, keyed, say } from './dom.js';
import { bytes, count, fileLink, percent, plural } from './format.js';
import { region } from './live.js';
import { chart } from './throughput.js';

const RECENT = 8;
/** Below this share of what could be stored, and below this many bytes, room is short. */
const LITTLE_ROOM = 0.05;
const LITTLE_ROOM_BYTES = 2 ** 30;

/** The health of it all in one sentence, the worst first, and how bad that is. */
function health(status) {
  const { quorum, store, at_risk: risk, members, peers_online: peers } = status;
  if (status.problem) return ['bad', `Needs attention: ${status.problem}.`];
  if (!quorum.has_quorum) return ['bad', quorum.warning ?? 'No quorum: nothing becomes final until more validators can be reached.'];
  if (status.evidence > 0) return ['bad', `${plural(status.evidence, 'proof')} that validators signed what excludes each other.`];
  if (status.scrub?.unrepaired > 0) return ['bad', `${plural(status.scrub.unrepaired, 'stored file')} rotted and could not be repaired yet.`];
  if (isShort(store)) return ['warn', `Little room is left: ${bytes(store.available_bytes)}.`];
  if (risk && risk.count > 0 && members > 1) return ['warn', `${plural(risk.count, 'file')} ${risk.count === 1 ? 'has' : 'have'} no second copy yet on a node that can be reached.`];
  const missing = members - peers - 1;
  if (missing > 0) return ['warn', `${plural(missing, 'node')} cannot be reached; the others go on without.`];
  if (quorum.warning) return ['warn', quorum.warning];
  if (store.wanted > 0) return ['good', `All is well; ${plural(store.wanted, 'file')} on the way here.`];
  return ['good', members === 1 ? 'All is well. This node is alone in its network.' : 'All is well: every node can be reached and every file has a second copy.'];
}

function isShort(store) {
  const all = store.bytes + store.available_bytes;
  return store.available_bytes < LITTLE_ROOM_BYTES && store.available_bytes < all * LITTLE_ROOM;
}

function tile(id, name) {
  const value = h('dd', { class: 'value' });
  const note = h('dd', { class: 'muted note' });
  return { node: h('div', { class: 'tile', id }, h('dt', null, name), value, note), set: (text, more) => { say(value, text); say(note, more); } };
}

function summary(node) {
  const sentence = h('p', { id: 'health', class: 'health' });
  const [nodes, files, data, quorum, disk, blocks] = [
    tile('tile-nodes', 'Nodes online'), tile('tile-files', 'Files'), tile('tile-bytes', 'Data'),
    tile('tile-quorum', 'Quorum'), tile('tile-disk', 'Disk here'), tile('tile-blocks', 'Blocks'),
  ];
  const risky = h('section', { hidden: true, 'aria-labelledby': 'risk-title' });
  node.append(sentence, h('dl', { class: 'tiles' }, [nodes, files, data, quorum, disk, blocks].map((one) => one.node)), risky);
  return (status) => {
    const { store, quorum: votes, at_risk: risk } = status;
    const [how, text] = health(status);
    sentence.dataset.state = how;
    say(sentence, text);
    nodes.set(`${count(status.peers_online + 1)} of ${count(status.members)}`, 'this one included');
    files.set(count(status.files), store.wanted > 0 ? `${count(store.wanted)} on the way here` : 'live in the ledger');
    data.set(bytes(status.bytes), 'of live files');
    quorum.set(`${count(votes.reachable)} of ${count(votes.total)}`, `${count(votes.needed)} needed, ${votes.faults_tolerated === 0 ? 'none may be away' : `${count(votes.faults_tolerated)} may be away`}`);
    const all = store.bytes + store.available_bytes;
    disk.set(`${all > 0 ? percent(store.bytes / all) : '0 %'} used`, `${bytes(store.bytes)} stored, ${bytes(store.available_bytes)} free to use`);
    blocks.set(count(status.height), status.last_certificate ? `signed by ${plural(status.last_certificate.signers.length, 'validator')}` : 'none yet');
    risky.hidden = !risk || risk.count === 0 || status.members === 1;
    if (!risky.hidden) {
      risky.replaceChildren(h('h2', { id: 'risk-title' }, 'Without a second copy'),
        h('ul', { class: 'lines' }, risk.files.slice(0, 5).map((file) =>
          h('li', null, fileLink(file.name), h('span', { class: 'muted' }, `${bytes(file.size)}, ${file.copies === 0 ? 'no copy' : 'one copy'}`)))),
        risk.count > 5 ? h('p', { class: 'muted' }, `and ${count(risk.count - 5)} more`) : '');
    }
  };
}

function recent(node) {
  const list = h('ul', { id: 'recent', class: 'lines' });
  const none = empty('Nothing has happened yet', 'What nodes and people do is told here. ', h('a', { href: '#/files' }, 'Upload the first file'));
  node.append(list, none);
  const fill = keyed(list, (row) => row.id, (row) => ({ node: h('li', null, line(row)), update() {} }));
  return ({ transactions }) => {
    none.hidden = transactions.length > 0;
    fill(transactions);
  };
}

function throughput(signal) {
  const [coming, going, most] = [h('span'), h('span'), h('span', { class: 'muted' })];
  const drawn = chart(signal, (told) => {
    say(coming, told.in);
    say(going, told.out);
    say(most, `top of the chart: ${told.most}`);
  });
  return h('section', { id: 'throughput', 'aria-labelledby': 'throughput-title' },
    h('h2', { id: 'throughput-title' }, 'Throughput'),
    h('p', { class: 'legend' }, h('span', { class: 'key in' }, 'coming in '), coming, h('span', { class: 'key out' }, 'going out '), going, most),
    drawn);
}

export function showOverview(main, { signal }) {
  const [state, events] = [h('div'), h('div')];
  main.append(heading('Overview'), state,
    throughput(signal),
    h('section', { 'aria-labelledby': 'recent-title' }, h('h2', { id: 'recent-title' }, 'Recent events'), events,
      h('p', null, h('a', { href: '#/ledger' }, 'All of the ledger'))));
  region(state, { types: ['ledger', 'node', 'file'], load: () => ask('/v1/status?copies', { signal }), make: summary, signal, gapMs: 2000 });
  region(events, { types: ['ledger'], load: () => ask(`/v1/transactions?limit=${RECENT}`, { signal }), make: recent, signal });
}
