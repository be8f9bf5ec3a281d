// The ledger: its blocks, who did what, and whether all of it holds.

import { actor, words } from './actions.js';
import { ask, askAll, query } from './api.js';
import { empty, h, heading, keyed, say, table } from './dom.js';
import { saveProof } from './file.js';
import { count, date, nodeName, plural, short, when } from './format.js';
import { region } from './live.js';
import { verifier } from './verify.js';

const BLOCKS = 10;
const TRANSACTIONS = 25;

/** All of one block, with who signed it. */
function detail(block, weights) {
  const { certificate } = block;
  const signers = certificate.signers.map((signer) => h('li', null, nodeName(signer),
    h('span', { class: 'muted' }, weights.has(signer) ? ` weight ${count(weights.get(signer))} now` : ' no validator any more')));
  const facts = [
    ['Hash', h('code', null, block.hash)], ['Before it', h('code', null, block.previous)], ['State', h('code', null, block.state_hash)],
    ['Made', date(block.time_ms)], ['By', h('code', null, block.creator)],
    ['Signed', [`by ${plural(signers.length, 'validator')}, in round ${certificate.round}`, h('ul', { class: 'signers' }, signers)]],
    ['Did', h('ul', { class: 'did' }, block.transactions.map((one) => h('li', null, actor(one), ' ', words(one.action))))],
  ];
  return h('dl', { class: 'facts' }, facts.flatMap(([what, is]) => [h('dt', null, what), h('dd', null, is)]));
}

function blockRow(weights) {
  return (block) => {
    const inside = h('td', { colspan: 5 });
    const below = h('tr', { class: 'inside', hidden: true }, inside);
    const button = h('button', { type: 'button', class: 'quiet', 'aria-expanded': 'false', 'aria-label': `Details of block ${block.height}` }, 'Details');
    const node = h('tbody', null, h('tr', { 'data-height': block.height },
      h('th', { scope: 'row', class: 'number' }, count(block.height)), h('td', { class: 'wide' }, when(block.time_ms)),
      h('td', null, block.transactions.length === 1 ? [actor(block.transactions[0]), ' ', words(block.transactions[0].action)] : plural(block.transactions.length, 'transaction'),
        h('span', { class: 'narrow muted' }, ', ', when(block.time_ms))),
      h('td', { class: 'wide signed' }, plural(block.certificate.signers.length, 'signature')), h('td', { class: 'number' }, button)), below);
    const open = (isOpen) => {
      below.hidden = !isOpen;
      button.setAttribute('aria-expanded', String(isOpen));
      say(button, isOpen ? 'Close' : 'Details');
      button.setAttribute('aria-label', `${button.textContent} of block ${block.height}`);
      if (isOpen) inside.replaceChildren(detail(block, weights()));
    };
    button.addEventListener('click', () => open(below.hidden));
    return { node, update() {}, open };
  };
}

/** Newest first, page by page. `asked` is a block to begin with and to show all of. */
function blocks(main, signal, asked) {
  const box = h('div');
  main.append(h('section', { 'aria-labelledby': 'blocks-title' }, h('h2', { id: 'blocks-title' }, 'Blocks'), box));
  let top = asked;
  let weights = new Map();
  const load = async () => {
    const { height, validators } = await ask('/v1/status', { signal });
    weights = new Map(validators.map(({ node_id: node, weight }) => [node, weight]));
    const last = Math.min(top ?? height, height);
    const first = Math.max(1, last - BLOCKS + 1);
    const page = height === 0 ? { blocks: [] } : await ask(`/v1/blocks?from=${first}&limit=${last - first + 1}`, { signal });
    return { height, last, rows: page.blocks.reverse() };
  };
  const again = region(box, { types: ['ledger'], signal, load, make: (node) => {
    const { node: box_, body } = table('blocks', 'Blocks', [{ text: 'Block', class: 'number' }, { text: 'When', class: 'wide' }, 'What', { text: 'Certificate', class: 'wide' }, h('th', { scope: 'col' }, h('span', { class: 'unseen' }, 'Details'))]);
    const list = body.parentNode;
    body.remove();
    // A body for each block: a row and what is folded under it stay together.
    const none = empty('There is no block yet', 'The first file, or the first member, makes one.');
    const older = h('button', { id: 'older', type: 'button' }, 'Older');
    const newer = h('button', { id: 'newer', type: 'button' }, 'Newer');
    const where = h('p', { class: 'muted' });
    const pages = h('nav', { class: 'pages', 'aria-label': 'Pages of blocks' }, where, newer, older);
    node.append(box_, none, pages);
    let shown = [];
    let isFirst = true;
    let now = null;
    older.addEventListener('click', () => { top = now.last - BLOCKS; again.now(); });
    newer.addEventListener('click', () => { top = now.last + BLOCKS >= now.height ? null : now.last + BLOCKS; again.now(); });
    const rows = new Map();
    return (data) => {
      now = data;
      for (const at of shown) if (!data.rows.some((one) => one.height === at)) { rows.get(at).node.remove(); rows.delete(at); }
      shown = data.rows.map((one) => one.height);
      let before = list.querySelector('thead');
      for (const block of data.rows) {
        if (!rows.has(block.height)) rows.set(block.height, blockRow(() => weights)(block));
        const { node: at } = rows.get(block.height);
        if (before.nextSibling !== at) before.after(at);
        before = at;
      }
      if (isFirst && asked && rows.has(asked)) rows.get(asked).open(true);
      isFirst = false;
      box_.hidden = data.rows.length === 0;
      none.hidden = data.rows.length > 0;
      pages.hidden = data.height <= BLOCKS;
      say(where, `${count(data.rows.at(-1)?.height ?? 0)} to ${count(data.last)} of ${count(data.height)}`);
      newer.disabled = data.last >= data.height;
      older.disabled = data.last <= BLOCKS;
    };
  } });
}

function transactionRow(row) {
  const name = row.action.add_file?.file.name;
  return {
    node: h('tr', { 'data-id': row.id }, h('td', null, when(row.time_ms)), h('td', { class: 'wide' }, actor(row)),
      h('td', null, h('span', { class: 'narrow' }, actor(row), ' '), words(row.action)),
      h('td', { class: 'number wide' }, count(row.height)),
      h('td', { class: 'number wide' }, name ? h('button', { type: 'button', class: 'quiet', 'aria-label': `Proof of ${name}`, onclick: () => saveProof(name) }, 'Proof') : null)),
    update() {},
  };
}

/** Who did what: all of it, or what concerns a name or a node. */
function transactions(main, signal) {
  const name = h('input', { id: 'filter-name', type: 'search', autocomplete: 'off', spellcheck: 'false', placeholder: 'The whole name' });
  const node = h('input', { id: 'filter-node', type: 'search', autocomplete: 'off', spellcheck: 'false', list: 'node-ids', placeholder: 'Its id, or how it begins' });
  const known = h('datalist', { id: 'node-ids' });
  const wrong = h('p', { class: 'wrong', role: 'alert' });
  const box = h('div');
  main.append(h('section', { 'aria-labelledby': 'transactions-title' }, h('h2', { id: 'transactions-title' }, 'Who did what'),
    h('form', { class: 'filters', role: 'search', 'aria-label': 'Transactions', onsubmit: (event) => event.preventDefault() },
      h('div', { class: 'field' }, h('label', { for: 'filter-name' }, 'File'), name),
      h('div', { class: 'field' }, h('label', { for: 'filter-node' }, 'Author or node'), node), known), wrong, box));
  let ids = [];
  askAll('/v1/nodes', 'nodes', { signal }).then((nodes) => {
    ids = nodes.map((one) => one.node_id);
    known.replaceChildren(...nodes.map((one) => h('option', { value: one.node_id }, one.address)));
  }, () => {});
  let cursors = [];
  let next = null;
  // Whoever was removed is no member any more: then only the whole id says who is meant.
  const whole = (text) => {
    const found = ids.filter((id) => id.startsWith(text));
    return text !== '' && found.length === 1 ? found[0] : text;
  };
  const load = async () => {
    say(wrong, '');
    try {
      return await ask(`/v1/transactions${query({ name: name.value.trim(), node: whole(node.value.trim().toLowerCase()), after: cursors.at(-1), limit: TRANSACTIONS })}`, { signal });
    } catch (error) {
      if (error.status !== 400) throw error;
      say(wrong, error.message);
      return { transactions: [], next: null };
    }
  };
  const again = region(box, { types: ['ledger'], signal, load, make: (parent) => {
    const { node: box_, body } = table('transactions', 'Transactions', ['When', { text: 'Who', class: 'wide' }, 'What', { text: 'Block', class: 'number wide' }, h('th', { scope: 'col', class: 'wide' }, h('span', { class: 'unseen' }, 'Proof'))]);
    const none = empty('Nothing was found', 'A name has to be whole; of a node, the beginning of its id is enough.');
    const newer = h('button', { type: 'button', onclick: () => { cursors.pop(); again.now(); } }, 'Newer');
    const older = h('button', { type: 'button', onclick: () => { cursors.push(next); again.now(); } }, 'Older');
    const pages = h('nav', { class: 'pages', 'aria-label': 'Pages of transactions' }, h('p'), newer, older);
    parent.append(box_, none, pages);
    const fill = keyed(body, (row) => row.id, transactionRow);
    return (page) => {
      next = page.next;
      fill(page.transactions);
      box_.hidden = page.transactions.length === 0;
      none.hidden = page.transactions.length > 0;
      pages.hidden = cursors.length === 0 && next === null;
      newer.disabled = cursors.length === 0;
      older.disabled = next === null;
    };
  } });
  let typing = null;
  for (const field of [name, node]) {
    field.addEventListener('input', () => {
      clearTimeout(typing);
      typing = setTimeout(() => { cursors = []; again.now(); }, 200);
    }, { signal });
  }
}

export function showLedger(main, { signal, search }) {
  const asked = Number(search.get('block')) || null;
  main.append(heading('Ledger'), verifier(signal));
  blocks(main, signal, asked);
  transactions(main, signal);
}
