// What transactions did, in words.

import { h } from './dom.js';
import { bytes, fileLink, nodeName, plain, shortName, when } from './format.js';

/** The words for an action as the interface tells it. */
export function words(action) {
  const [[kind, about]] = Object.entries(action);
  switch (kind) {
    case 'add_file': {
      const { name, size } = about.file;
      return [about.replaces ? 'replaced ' : 'published ', fileLink(name), h('span', { class: 'muted' }, ` ${bytes(size)}`)];
    }
    case 'remove_file':
      return ['removed ', shortName(about.name)];
    case 'add_node':
      return ['added the node ', nodeName(about.node)];
    case 'remove_node':
      return ['removed the node ', nodeName(about.node)];
    case 'update_node':
      return ['changed the node ', nodeName(about.node), `: ${change(about.change)}`];
    case 'upgrade':
      return [`upgraded the ledger to version ${about.version} from block ${about.from_height}`];
    default:
      return [kind];
  }
}

function change(change) {
  const [[what, to]] = Object.entries(change);
  return `${{ role: 'role', address: 'address', validator_weight: 'weight as a validator' }[what] ?? what} ${plain(String(to))}`;
}

/** Who did it: a node, and whom it did it for. */
export function actor({ author, on_behalf_of: label }) {
  return [nodeName(author), label ? h('span', { class: 'muted' }, ' for ', h('bdi', null, plain(label))) : null];
}

/** A transaction as a line of a list. */
export function line(row) {
  return [h('span', null, actor(row), ' ', words(row.action)), h('span', { class: 'muted' }, when(row.time_ms))];
}
