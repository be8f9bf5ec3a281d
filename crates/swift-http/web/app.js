// The frame: who is signed in, which page is shown, and whether the node answers.

import { ask, link, may, setSession, Unreachable, who } from './api.js';
import { h, heading, mark, say } from './dom.js';
import { keepTimesTrue, nodeName } from './format.js';
import { failure, hush, listen, on } from './live.js';
import { showSignIn, takeSecret } from './signin.js';
import { watchThroughput } from './throughput.js';

/** Each page with what brings it: what nobody looks at is not loaded. */
const PAGES = {
  overview: ['Overview', async () => (await import('./overview.js')).showOverview],
  files: ['Files', async () => (await import('./files.js')).showFiles],
  file: ['File', async () => (await import('./file.js')).showFile],
  transfers: ['Transfers', async () => (await import('./transfers.js')).showTransfers],
  nodes: ['Nodes', async () => (await import('./nodes.js')).showNodes],
  ledger: ['Ledger', async () => (await import('./ledger.js')).showLedger],
};

const byId = (id) => document.getElementById(id);
const main = byId('main');
let page = new AbortController();
let expiry = null;

/** Under this name the browser remembers until when somebody is signed in; it opens nothing. */
const SIGNED_IN_UNTIL = 'signed-in-until';

/** Shows the page that the address names. */
async function show({ isFirst = false } = {}) {
  page.abort();
  page = new AbortController();
  const { signal } = page;
  const [path, search = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [section, ...rest] = path.split('/');
  const name = rest.length > 0 ? nameIn(rest.join('/')) : null;
  const found = pageAt(section, name);
  for (const anchor of byId('nav').children) mark(anchor, 'aria-current', anchor.hash === `#/${section}` ? 'page' : null);
  if (!found) {
    main.replaceChildren(heading('Not found'), h('p', null, 'There is no such page. ', h('a', { href: '#/overview' }, 'Go to the overview')));
  } else if (!may('read') && found !== PAGES.files) {
    main.replaceChildren(heading(found[0]), noPermission());
  } else {
    try {
      const fill = await found[1]();
      if (signal.aborted) return;
      main.replaceChildren();
      fill(main, { signal, name, search: new URLSearchParams(search) });
    } catch {
      // A part of the page itself did not come.
      if (signal.aborted) return;
      main.replaceChildren(heading(found[0]), failure(new Unreachable(), () => location.reload()));
    }
  }
  document.title = `${byId('title').textContent} \u00b7 SwiftServe`;
  window.scrollTo(0, 0);
  if (!isFirst) byId('title').focus({ preventScroll: true });
}

/** The page that an address leads to, if there is one: a file has its page behind that of all files. */
function pageAt(section, name) {
  if (name !== null) return section === 'files' ? PAGES.file : undefined;
  return section !== 'file' && Object.hasOwn(PAGES, section) ? PAGES[section] : undefined;
}

/** What an address means; as it stands if somebody mistyped it. */
function nameIn(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function noPermission() {
  return h('div', { class: 'empty' },
    h('p', { class: 'strong' }, 'You may not see this'),
    h('p', { class: 'muted' }, `You are signed in as ${who().label}, which allows: ${who().scopes.join(', ')}. `,
      'To look around takes the scope read. ', may('publish') ? h('a', { href: '#/files' }, 'You may upload files.') : null));
}

/** Somebody is signed in. */
function enter(session) {
  setSession(session);
  localStorage.setItem(SIGNED_IN_UNTIL, session.expires_ms);
  clearTimeout(expiry);
  // The node decides; this only asks it in time.
  expiry = setTimeout(() => ask('/v1/sessions').catch(() => {}), Math.max(0, session.expires_ms - Date.now()) + 500);
  byId('signout').hidden = false;
  byId('nav').hidden = false;
  if (may('read')) {
    listen();
    watchThroughput();
    nameNode();
  }
  if (!location.hash.startsWith('#/')) history.replaceState(null, '', '#/overview');
  show({ isFirst: true });
}

/** Nobody is. */
function leave(reason) {
  setSession(null);
  back();
  localStorage.removeItem(SIGNED_IN_UNTIL);
  clearTimeout(expiry);
  hush();
  link.dispatchEvent(new Event('left'));
  page.abort();
  page = new AbortController();
  byId('signout').hidden = true;
  byId('nav').hidden = true;
  byId('where').replaceChildren();
  showSignIn(main, reason, enter);
}

async function nameNode() {
  try {
    const { node_id, address } = await ask('/v1/status');
    byId('where').replaceChildren(h('span', { class: 'unseen' }, 'Node '), nodeName(node_id), h('span', { class: 'wide' }, ` ${address}`));
  } catch {
    // The page that is shown says what is wrong.
  }
}

byId('signout').addEventListener('click', async () => {
  try {
    await ask('/v1/sessions', { method: 'DELETE' });
    leave('You are signed out.');
  } catch (error) {
    if (who() !== null) banner(error.message);
  }
});

byId('skip').addEventListener('click', (event) => {
  event.preventDefault();
  (byId('title') ?? main).focus();
});

let isAway = null;

function banner(text) {
  byId('banner').hidden = text === null;
  say(byId('banner'), text ?? '');
}

// A moment without an answer is none: a laptop wakes, a network changes.
function away() {
  isAway ??= setTimeout(() => banner('The node does not answer. What you see may be out of date. Trying again\u2026'), 1500);
}

function back() {
  clearTimeout(isAway);
  isAway = null;
  banner(null);
}

link.addEventListener('unreachable', away);
link.addEventListener('reachable', back);
link.addEventListener('signedout', () => leave('You are signed out: your session has ended. Sign in again to go on.'));
on('state', (state) => {
  const words = { connecting: 'Connecting', live: 'Live', lost: 'Not connected', off: '' };
  say(byId('live'), words[state]);
  byId('live').dataset.state = state;
  if (state === 'lost' && who() !== null) away();
  if (state === 'live') back();
});
window.addEventListener('hashchange', () => {
  if (takeSecret(enter, leave)) return;
  if (who() !== null) show();
});

keepTimesTrue();
async function start() {
  if (takeSecret(enter, leave)) return;
  // The cookie is not for scripts to see. Who never signed in here need not ask to be refused.
  if (Date.now() > Number(localStorage.getItem(SIGNED_IN_UNTIL) ?? 0)) return leave(null);
  try {
    enter(await ask('/v1/sessions'));
  } catch (error) {
    if (error.status === 401) leave(null);
    else main.replaceChildren(heading('SwiftServe'), failure(error, start));
  }
}
start();
