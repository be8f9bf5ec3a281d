// One file: what it is, where it is, and what can be done with it.

import { words, actor } from './actions.js';
import { ask, may, request } from './api.js';
import { h, heading, keyed, mark, say, svg, table } from './dom.js';
import { copyButton, dialog, notice } from './dialog.js';
import { bytes, count, date, fileName, filePath, nodeName, percent, plain, shellWord, short, when } from './format.js';
import { on, region } from './live.js';

const HISTORY = 20;
/** A name with more characters has smaller ones. */
const LONG = 100;
/** How often others are asked how far they are while somebody looks, if nothing tells by itself. */
const ASK_MS = 3000;
const WORDS = { complete: 'all of it', not_keeping: 'does not keep it', unknown: 'has not said', absent: 'cannot be reached' };

/** A bar that shows which parts of the file are there: each is filled from below as far as it is. */
function bar() {
  const node = svg('svg', { class: 'parts', preserveAspectRatio: 'none', role: 'img' });
  let drawn = '';
  return {
    node,
    draw(share, parts, told) {
      mark(node, 'aria-label', told);
      // Where all parts are alike it fills from the left.
      const full = parts ?? [100];
      const asked = `${share} ${full}`;
      if (asked === drawn) return;
      drawn = asked;
      mark(node, 'viewBox', `0 0 ${full.length} 1`);
      const runs = [];
      full.forEach((percentage, at) => {
        if (runs.at(-1)?.percentage === percentage) runs.at(-1).length += 1;
        else runs.push({ percentage, at, length: 1 });
      });
      node.replaceChildren(...runs.filter((run) => run.percentage > 0).map(({ percentage, at, length }) =>
        {
        // As much of the bar is filled as is there, and what is little is still seen.
        const height = Math.max(percentage / 100, 0.1);
        return svg('rect', { x: at, y: 1 - height, height, width: parts ? length : share });
      }));
    },
  };
}

function holderRow(holder) {
  const drawn = bar();
  const told = h('span', { class: 'muted told' });
  const who = holder.is_self ? [nodeName(holder.node_id), h('span', { class: 'muted' }, ' this node')] : [nodeName(holder.node_id)];
  const node = h('li', { 'data-node': holder.node_id }, h('span', { class: 'who' }, who), drawn.node, told);
  return {
    node,
    update({ holding, share, held_bytes: held, parts, size }) {
      mark(node, 'data-share', share === null ? '' : share.toFixed(4));
      mark(node, 'data-holding', holding);
      const text = WORDS[holding] ?? (share >= 1 ? 'all of it, being written' : `${percent(share)}, ${bytes(held)} of ${bytes(size)}`);
      say(told, text);
      drawn.draw(share ?? 0, parts, `${short(holder.node_id)}: ${text}`);
    },
  };
}

function holders(me) {
  return (node) => {
    const list = h('ul', { id: 'holders' });
    const sum = h('p', { class: 'muted' });
    node.append(sum, list);
    const fill = keyed(list, (row) => row.node_id, holderRow);
    return ({ size, holders: rows }) => {
      const shares = rows.map((row) => ({ ...row, size, is_self: row.node_id === me(),
        share: row.holding === 'complete' ? 1 : row.held_bytes === null ? null : size === 0 ? 0 : row.held_bytes / size }));
      const order = ['complete', 'partial', 'unknown', 'not_keeping', 'absent'];
      shares.sort((a, b) => (b.is_self - a.is_self) || order.indexOf(a.holding) - order.indexOf(b.holding) || (a.node_id < b.node_id ? -1 : 1));
      fill(shares);
      const whole = rows.filter((row) => row.holding === 'complete').length;
      say(sum, `${count(whole)} of ${count(rows.length)} nodes hold all of it.`);
    };
  };
}

/** Downloads by the browser itself, whatever the size: nothing goes through this page. */
function download(name, isAll) {
  return h('a', { id: 'download', class: 'button main', href: filePath(name), download: name.split('/').at(-1), title: isAll ? null : 'It comes while it is fetched from other nodes' }, 'Download');
}

async function save(path, name) {
  try {
    const blob = await (await request(path)).blob();
    const address = URL.createObjectURL(blob);
    h('a', { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  } catch (error) {
    notice(error.message, { isWrong: true });
  }
}

/** Saves the proof of who published a file. */
export const saveProof = (name) => save(`/v1/proof?${new URLSearchParams({ name })}`, `${name.split('/').at(-1)}.receipt`);

async function remove(name) {
  const isDone = await dialog({
    title: 'Remove this file?',
    body: h('p', null, h('strong', null, fileName(name)), ' is withdrawn from the whole network. Nodes keep its content in their trash for a while, from where it can be restored.'),
    confirm: 'Remove',
    isDanger: true,
    act: () => ask(filePath(name), { method: 'DELETE' }),
  });
  if (!isDone) return;
  notice(`${plain(name)} is removed.`);
  location.hash = '#/files';
}

function commands(name, status) {
  const address = `${location.origin}${filePath(name)}`;
  const last = name.split('/').at(-1);
  // What begins with a dash would be taken for an option.
  const curl = `curl -H "Authorization: Bearer $SWIFTSERVE_TOKEN" -o ${shellWord(last.startsWith('-') ? `./${last}` : last)} ${shellWord(address)}`;
  const ctl = `swiftctl --node ${status.node_id}@${status.address} download ${name.startsWith('-') ? '-- ' : ''}${shellWord(name)}`;
  return [['copy-curl', 'Copy', curl, 'curl'], ['copy-ctl', 'Copy', ctl, 'swiftctl']].map(([id, label, text, tool]) => {
    const shown = h('code', null, text);
    const button = copyButton(id, label, () => text, shown);
    button.setAttribute('aria-label', `Copy the ${tool} line`);
    return h('div', { class: 'command' }, shown, button);
  });
}

function details(name, actions) {
  return (node) => {
    const list = h('dl', { class: 'facts' });
    node.append(list);
    let shown = null;
    return ([file, status]) => {
      // The same content may have been published again.
      const now = `${file.file_id} ${file.height}`;
      if (shown !== now) {
        actions.replaceChildren(...[
          download(name, file.complete),
          h('button', { id: 'proof', type: 'button', title: 'Who published it, to be checked without any node', onclick: () => saveProof(name) }, 'Proof'),
          may('remove') ? h('button', { id: 'remove', type: 'button', class: 'danger', onclick: () => remove(name) }, 'Remove') : null,
        ].filter(Boolean));
        const facts = [
          ['Size', `${bytes(file.size)} (${count(file.size)} bytes)`],
          ['Published', [when(file.time_ms), ` \u00b7 ${date(file.time_ms)}`]],
          ['By', h('code', null, file.publisher)],
          ['Block', h('a', { href: `#/ledger?block=${file.height}` }, count(file.height))],
          ['File id', h('code', { title: 'BLAKE3: what b3sum prints' }, file.file_id)],
        ];
        list.replaceChildren(...facts.flatMap(([what, is]) => [h('dt', null, what), h('dd', null, is)]),
          h('dt', null, 'Get it'), h('dd', null, commands(name, status)));
      }
      shown = now;
    };
  };
}

/** The part of the page that tells where the file is, for as long as it is a file. */
function spread(section, name, me, signal) {
  const box = h('div', { class: 'card' });
  section.append(h('h2', null, 'On the nodes'), box);
  let isEverywhere = false;
  const again = region(box, {
    types: ['file', 'node'], signal, make: holders(me),
    load: async () => {
      const found = await ask(`${filePath(name)}?holders`, { signal });
      isEverywhere = found.holders.every(({ holding }) => ['complete', 'not_keeping', 'absent'].includes(holding));
      return found;
    },
  });
  // While it spreads: with every event about it, and slowly between other nodes, of which no event tells here.
  on('transfer', ({ transfers }) => transfers.some((row) => row.file === name) && again(), signal);
  const timer = setInterval(() => !isEverywhere && !document.hidden && !section.hidden && again(), ASK_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
}

function history(node) {
  const { node: box, body } = table('history', 'History of this name', ['What', 'When', 'Block']);
  node.append(box);
  const fill = keyed(body, (row) => row.id, (row) => ({
    node: h('tr', null, h('td', null, actor(row), ' ', words(row.action)), h('td', null, when(row.time_ms)),
      h('td', null, h('a', { href: `#/ledger?block=${row.height}` }, count(row.height)))),
    update() {},
  }));
  return ({ transactions }) => {
    node.parentNode.hidden = transactions.length === 0;
    fill(transactions);
  };
}

export function showFile(main, { name, signal }) {
  const [actions, about, where, past] = [h('div', { class: 'actions' }), h('div'), h('section'), h('section')];
  const title = heading('');
  title.querySelector('h1').append(fileName(name));
  title.querySelector('h1').classList.toggle('long', name.length > LONG);
  title.querySelector('.actions').replaceWith(actions);
  main.append(h('p', { class: 'crumb' }, h('a', { href: '#/files' }, 'Files')), title, about, where, past);
  const path = filePath(name);
  let me = null;
  region(about, {
    types: ['file'], signal, make: details(name, actions),
    load: async () => {
      try {
        const [file, status] = await Promise.all([ask(`${path}?meta`, { signal }), ask('/v1/status', { signal })]);
        me = status.node_id;
        actions.hidden = where.hidden = false;
        if (where.children.length === 0) spread(where, name, () => me, signal);
        return [file, status];
      } catch (error) {
        if (error.status === 404) for (const gone of [actions, where]) gone.hidden = true;
        throw error;
      }
    },
  });
  past.append(h('h2', null, 'History'));
  const rows = h('div');
  past.append(rows);
  region(rows, { types: ['file'], signal, make: history, load: () => ask(`/v1/transactions?${new URLSearchParams({ name, limit: HISTORY })}`, { signal }) });
}
