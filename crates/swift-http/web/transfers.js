// What moves between this node and others, as it moves.

import { ask, askAll, may } from './api.js';
import { empty, h, heading, keyed, say } from './dom.js';
import { notice } from './dialog.js';
import { bytes, count, duration, fileLink, nodeName, percent, rate } from './format.js';
import { on, region } from './live.js';

const STATES = { waiting: 'waiting', receiving: 'receiving', reading: 'for a reader', blocked: 'blocked' };
/** Events come once a second while something moves; when they stop, what is left is asked for. */
const STILL_MS = 2500;
/** Rows of each direction that are shown; what moves comes before what waits. */
const SHOWN = 100;
const isWaiting = (item) => item.state === 'waiting' || item.state === 'blocked';

/** How soon a file is wanted. */
function priority(file) {
  const select = h('select', { 'aria-label': `Priority of ${file}` }, ['high', 'normal', 'low'].map((level) => h('option', { value: level }, level)));
  let before = 'normal';
  select.addEventListener('change', async () => {
    try {
      await ask(`/v1/priorities/${file.split('/').map(encodeURIComponent).join('/')}`, { method: 'PUT', body: { priority: select.value } });
      before = select.value;
    } catch (error) {
      select.value = before;
      notice(error.message, { isWrong: true });
    }
  });
  return { node: select, show: (level) => {
    before = level;
    if (document.activeElement !== select) select.value = level;
  } };
}

function peers(list, verb) {
  return list.length === 0 ? [] : [`${verb} `, list.flatMap((peer, at) => [at > 0 ? ', ' : '', nodeName(peer.node_id), ` ${rate(peer.bytes_per_second)}`])];
}

function row(first) {
  const isIn = first.direction === 'in';
  const [bar, told, left, who] = [h('progress', { max: 1, hidden: !isIn, 'aria-label': `Progress of ${first.file}` }), h('span'), h('span', { class: 'muted' }), h('p', { class: 'muted peers' })];
  const level = isIn && may('admin') ? priority(first.file) : null;
  const node = h('li', { 'data-file': first.file, 'data-direction': first.direction },
    h('span', { class: 'what' }, fileLink(first.file)), bar, told, left, level?.node, who);
  return {
    node,
    update(now) {
      const share = now.total_bytes > 0 ? (now.done_bytes ?? 0) / now.total_bytes : 0;
      bar.value = share;
      say(told, isIn ? `${percent(share)} of ${bytes(now.total_bytes)}, ${rate(now.bytes_per_second)}` : `${bytes(now.total_bytes)}, ${rate(now.bytes_per_second)}`);
      say(left, !isIn ? '' : now.state === 'receiving' && now.remaining_seconds !== null ? `${duration(now.remaining_seconds)} left` : `${STATES[now.state]}${now.detail ? `: ${now.detail}` : ''}`);
      who.replaceChildren(...peers(now.peers, isIn ? 'from' : 'to').flat(2));
      level?.show(now.priority);
    },
  };
}

function group(title, id, none) {
  const list = h('ul', { id, class: 'moving' });
  const nothing = empty(none);
  const sum = h('span', { class: 'muted' });
  const rest = h('p', { class: 'muted' });
  const fill = keyed(list, (item) => `${item.direction}/${item.file_id}`, row);
  return {
    node: h('section', { 'aria-labelledby': `${id}-title` }, h('div', { class: 'heading' }, h('h2', { id: `${id}-title` }, title), sum), list, nothing, rest),
    show(rows) {
      const shown = [...rows].sort((a, b) => isWaiting(a) - isWaiting(b)).slice(0, SHOWN);
      fill(shown);
      rest.hidden = rows.length === shown.length;
      say(rest, `and ${count(rows.length - shown.length)} more`);
      list.hidden = rows.length === 0;
      nothing.hidden = rows.length > 0;
      say(sum, rows.length === 0 ? '' : `${count(rows.length)}, ${rate(rows.reduce((all, one) => all + one.bytes_per_second, 0))}`);
    },
  };
}

export function showTransfers(main, { signal }) {
  const box = h('div', { id: 'transfers', class: 'stack' });
  main.append(heading('Transfers'), box);
  let show = null;
  let still = null;
  const again = region(box, {
    types: ['file'],
    signal,
    load: () => askAll('/v1/transfers', 'transfers', { signal }),
    make: (node) => {
      const incoming = group('Coming here', 'incoming', 'Nothing is on its way to this node.');
      const outgoing = group('Going out', 'outgoing', 'This node sends nothing at the moment.');
      node.append(incoming.node, outgoing.node);
      show = (rows) => {
        incoming.show(rows.filter((one) => one.direction === 'in'));
        outgoing.show(rows.filter((one) => one.direction === 'out'));
      };
      return show;
    },
  });
  on('transfer', ({ transfers, more }) => {
    clearTimeout(still);
    still = setTimeout(again, STILL_MS);
    // More than an event holds are asked for.
    if (more > 0) again();
    else show?.(transfers);
  }, signal);
  signal.addEventListener('abort', () => clearTimeout(still));
}
