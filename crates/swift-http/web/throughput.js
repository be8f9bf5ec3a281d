// How fast content moves between this node and others, drawn as it changes.

import { mark, svg } from './dom.js';
import { rate } from './format.js';
import { on } from './live.js';

const SECONDS = 120;
const HEIGHT = 60;
/** Events come once a second while something moves; without one for this long nothing does. */
const STILL_MS = 2500;

const samples = [];
let isWatching = false;

/** Remembers what events say. */
export function watchThroughput() {
  if (isWatching) return;
  isWatching = true;
  on('transfer', ({ transfers, more }) => {
    const sum = (direction) => transfers.filter((row) => row.direction === direction)
      .reduce((all, row) => all + row.bytes_per_second, 0);
    samples.push({ at: Date.now(), in: sum('in'), out: sum('out'), isPart: more > 0 });
    while (samples.length > SECONDS) samples.shift();
  });
}

/** What moves now. */
export function throughput() {
  const last = samples.at(-1);
  const isNow = last !== undefined && Date.now() - last.at < STILL_MS;
  return isNow ? last : { in: 0, out: 0, isPart: false };
}

function series(which, now, most) {
  const points = new Array(SECONDS + 1).fill(0);
  for (const sample of samples) {
    const ago = Math.round((now - sample.at) / 1000);
    if (ago <= SECONDS) points[SECONDS - ago] = sample[which];
  }
  // Events and seconds do not meet exactly: the last one stands for now, and a hole of one second is none.
  points[SECONDS] = throughput()[which];
  for (let at = 1; at < SECONDS; at += 1) {
    if (points[at] === 0) points[at] = Math.min(points[at - 1], points[at + 1]);
  }
  return points.map((value, at) => `${at},${(HEIGHT - 1 - (value / most) * (HEIGHT - 4)).toFixed(1)}`);
}

/** The last two minutes, drawn anew each second while somebody looks. */
export function chart(signal, told) {
  const area = svg('polyline', { class: 'area' });
  const incoming = svg('polyline', { class: 'in' });
  const outgoing = svg('polyline', { class: 'out' });
  const node = svg('svg', { class: 'chart', viewBox: `0 0 ${SECONDS} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': 'Throughput of the last two minutes' }, area, incoming, outgoing);
  const draw = () => {
    if (document.hidden) return;
    const now = Date.now();
    const most = Math.max(1024, ...samples.filter((sample) => now - sample.at < SECONDS * 1000).map((sample) => Math.max(sample.in, sample.out)));
    const points = series('in', now, most).join(' ');
    mark(area, 'points', `0,${HEIGHT} ${points} ${SECONDS},${HEIGHT}`);
    mark(incoming, 'points', points);
    mark(outgoing, 'points', series('out', now, most).join(' '));
    const { in: coming, out: going, isPart } = throughput();
    told({ in: `${isPart ? 'at least ' : ''}${rate(coming)}`, out: `${isPart ? 'at least ' : ''}${rate(going)}`, most: rate(most) });
  };
  draw();
  const timer = setInterval(draw, 1000);
  signal.addEventListener('abort', () => clearInterval(timer));
  return node;
}

