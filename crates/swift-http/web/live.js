// What happens on the node, as it happens, and what is shown of it kept fresh.

import { ask, link } from './api.js';
import { h } from './dom.js';

const TYPES = ['ledger', 'file', 'transfer', 'node', 'security', 'reset'];
const RETRY_MS_MAX = 15000;
const SILENT_MS = 30000;

const hub = new EventTarget();
let stream = null;
let retry = null;
let tries = 0;
let heard = 0;
let state = 'off';

/** Calls back with the data of each event of a type, until the signal. `state` tells of the stream itself. */
export function on(type, listener, signal) {
  hub.addEventListener(type, (event) => listener(event.detail), { signal });
}

const tell = (type, detail) => hub.dispatchEvent(new CustomEvent(type, { detail }));

function turn(next) {
  if (state !== next) tell('state', (state = next));
}

/** Begins to listen. */
export function listen() {
  hush();
  turn('connecting');
  open();
}

/** Ends it. */
export function hush() {
  stream?.close();
  clearTimeout(retry);
  stream = null;
  turn('off');
}

function open() {
  stream?.close();
  clearTimeout(retry);
  retry = null;
  const source = new EventSource('/v1/events');
  stream = source;
  heard = Date.now();
  source.onopen = () => {
    const wasLost = state === 'lost';
    [tries, heard] = [0, Date.now()];
    turn('live');
    // What was asked for meanwhile, and failed, is asked for again; so is what a stream that began anew does not tell.
    if (wasLost) tell('reset', { reason: 'reconnected' });
  };
  source.onerror = () => {
    if (stream !== source) return;
    turn('lost');
    // Refused, or broken for good: the browser will not try again by itself.
    if (source.readyState === EventSource.CLOSED) later();
  };
  for (const type of TYPES) {
    source.addEventListener(type, (event) => {
      heard = Date.now();
      tell(type, JSON.parse(event.data));
    });
  }
}

function later() {
  clearTimeout(retry);
  tries += 1;
  // Any answer opens the stream again, see below.
  retry = setTimeout(check, Math.min(RETRY_MS_MAX, 500 * 2 ** tries));
}

const check = () => ask('/v1/sessions').catch(() => {});

link.addEventListener('unreachable', () => {
  if (state === 'off') return;
  turn('lost');
  stream?.close();
  later();
});
link.addEventListener('reachable', () => {
  if (state === 'lost' && stream?.readyState === EventSource.CLOSED) open();
});

// A node that hangs and a cable that is cut close nothing. Where nothing was heard for long, somebody has to ask.
setInterval(() => {
  if (state !== 'live' || document.hidden || Date.now() - heard < SILENT_MS) return;
  heard = Date.now();
  check();
}, SILENT_MS / 6);
for (const [target, type] of [[window, 'online'], [document, 'visibilitychange']]) {
  target.addEventListener(type, () => {
    if (state !== 'off' && !document.hidden) check();
  });
}

/**
 * Loads now, and again after events of some types: never twice at a time, not more often than the gap says, and not
 * while nobody looks.
 */
export function keepFresh(types, load, signal, gapMs = 800) {
  let isRunning = false;
  let isWanted = false;
  let timer = null;
  const run = async () => {
    timer = null;
    if (signal.aborted) return;
    if (document.hidden) {
      isWanted = true;
      return;
    }
    isRunning = true;
    isWanted = false;
    try {
      await load();
    } finally {
      isRunning = false;
      if (isWanted) soon();
    }
  };
  const soon = () => {
    isWanted = true;
    if (!isRunning && timer === null && !document.hidden) timer = setTimeout(run, gapMs);
  };
  for (const type of [...types, 'reset']) on(type, soon, signal);
  // What somebody asks for does not wait.
  soon.now = () => {
    clearTimeout(timer);
    isWanted = true;
    if (!isRunning) run();
  };
  document.addEventListener('visibilitychange', () => isWanted && soon(), { signal });
  signal.addEventListener('abort', () => clearTimeout(timer));
  run();
  return soon;
}

/**
 * A part of a page that loads, fails and is drawn again as things happen. `make(node)` builds it once and gives what
 * draws the data that `load` gives. Returns how to have it loaded again.
 */
export function region(node, { types = [], load, make, signal, gapMs }) {
  let draw = null;
  node.append(h('p', { class: 'loading' }, 'Loading\u2026'));
  const again = keepFresh(types, async () => {
    try {
      const data = await load(signal);
      if (signal.aborted) return;
      if (!draw) {
        node.replaceChildren();
        draw = make(node);
      }
      draw(data);
    } catch (error) {
      if (error.name === 'AbortError' || signal.aborted) return;
      // What was there stays while the node is away; the banner says so.
      if (draw && error.status === undefined) return;
      draw = null;
      node.replaceChildren(failure(error, again.now));
    }
  }, signal, gapMs);
  return again;
}

/** What went wrong, and a way to try again. */
export function failure(error, retryNow) {
  return h('div', { class: 'failure', role: 'alert' },
    h('p', { class: 'strong' }, error.status === 404 ? 'Not found' : 'This could not be loaded'),
    h('p', null, error.message),
    error.status === 404 || error.status === 403 ? null
      : h('button', { type: 'button', onclick: retryNow }, 'Try again'));
}
