// What happens on the node, as it happens, and what is shown of it kept fresh.

import { ask, link, who } from './api.js';
import { h } from './dom.js';

const TYPES = ['ledger', 'file', 'transfer', 'node', 'security', 'reset'];
const RETRY_MS_MAX = 15000;

const hub = new EventTarget();
let stream = null;
let retry = null;
let tries = 0;
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
  const source = new EventSource('/v1/events');
  stream = source;
  source.onopen = () => {
    const wasLost = state === 'lost';
    tries = 0;
    turn('live');
    // The stream itself goes on where it was. What was asked for meanwhile, and failed, is asked for again.
    if (wasLost) tell('reset', { reason: 'reconnected' });
  };
  source.onerror = () => {
    if (stream !== source) return;
    turn('lost');
    // Refused, or broken for good: the browser will not try again by itself.
    if (source.readyState === EventSource.CLOSED) later();
  };
  for (const type of TYPES) {
    source.addEventListener(type, (event) => tell(type, JSON.parse(event.data)));
  }
}

function later() {
  clearTimeout(retry);
  tries += 1;
  retry = setTimeout(async () => {
    try {
      await ask('/v1/sessions');
      if (who() !== null) open();
    } catch {
      if (who() !== null) later();
    }
  }, Math.min(RETRY_MS_MAX, 500 * 2 ** tries));
}

link.addEventListener('unreachable', () => {
  if (state === 'live') turn('lost');
});

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
      node.replaceChildren(failure(error, () => again()));
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
