// Numbers, times and names as people read them.

import { h } from './dom.js';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1.4 GiB`. */
export function bytes(count) {
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const text = unit === 0 || value >= 99.95 ? Math.round(value).toString() : value.toFixed(1);
  return `${text} ${UNITS[unit]}`;
}

/** `1.4 MiB/s`. */
export const rate = (perSecond) => `${bytes(perSecond)}/s`;

/** `12,345`. */
export const count = (number) => number.toLocaleString('en');

/** `1 file`, `2 files`. */
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;

/** A share of 1 as a whole percentage; 100 only when it is all. */
export function percent(share) {
  const whole = share >= 1 ? 100 : Math.min(99, Math.floor(share * 100));
  return `${whole} %`;
}

/** `3 min 20 s`. */
export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} days`;
}

/** The date and the time. */
export const date = (ms) => new Date(ms).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

function ago(ms) {
  const seconds = (Date.now() - ms) / 1000;
  if (seconds < 10) return 'just now';
  if (seconds < 60) return `${Math.floor(seconds / 10) * 10} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 30 * 86400) return `${plural(Math.floor(seconds / 86400), 'day')} ago`;
  return new Date(ms).toLocaleDateString('en-GB', { dateStyle: 'medium' });
}

/** When it was, in words that are kept true. */
export function when(ms) {
  const node = h('time', { datetime: new Date(ms).toISOString(), title: date(ms), 'data-ms': ms }, ago(ms));
  return node;
}

/** Keeps the words of all times true. */
export function keepTimesTrue() {
  setInterval(() => {
    for (const node of document.querySelectorAll('time[data-ms]')) {
      const text = ago(Number(node.dataset.ms));
      if (node.textContent !== text) node.textContent = text;
    }
  }, 15000);
}

/** The beginning of an id, as `swiftctl` shows and takes it. */
export const short = (id) => id.slice(0, 10);

/** A node's id, short, the whole of it on hovering. */
export const nodeName = (id) => h('code', { title: id }, short(id));

// What turns the direction of text, and what cannot be seen: `is_unseen` of swift-chain.
const UNSEEN = /(?![\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\u{e0000}-\u{e0fff}]/gu;
const code = (character) => `\u2039U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}\u203a`;

/** A text from the ledger, with what cannot be seen made visible: a name is not to look like another. */
export const plain = (text) => text.replace(UNSEEN, code);

/** A text that cannot turn what stands around it, and loses none of its spaces. */
const apart = (shown, whole) => h('bdi', { title: whole, class: / {2}|^ /.test(shown) ? 'spaced' : null }, shown);

/** A file's name. */
export const fileName = (name) => apart(plain(name), plain(name));

/** Characters of a name that are shown where it is one of many, of its beginning and of its end. */
const [HEAD, TAIL] = [60, 50];

/** The same where it is one of many: of a very long one the middle is left out, and told on hovering. */
export function shortName(name) {
  const characters = [...plain(name)];
  const isLong = characters.length > HEAD + TAIL + 10;
  const shown = isLong ? `${characters.slice(0, HEAD).join('')} \u2026 ${characters.slice(-TAIL).join('')}` : characters.join('');
  return apart(shown, plain(name));
}

/** Where a file's page is. */
export const fileLink = (name) => h('a', { href: `#/files/${encodeURIComponent(name)}`, class: 'name' }, shortName(name));

/** A file's address in the interface. */
export const filePath = (name) => `/v1/files/${name.split('/').map(encodeURIComponent).join('/')}`;

/** For a shell: one word. */
export const shellWord = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
