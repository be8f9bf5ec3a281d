// All files: looked for, sorted, page by page; and the place to bring in new ones.

import { ask, may, query } from './api.js';
import { empty, h, heading, keyed, mark, say, table } from './dom.js';
import { bytes, count, fileLink, nodeName, percent, plural, when } from './format.js';
import { on, region } from './live.js';
import { uploader } from './uploader.js';

const PAGE = 50;
const COLUMNS = [
  { sort: 'name', text: 'Name' },
  { sort: 'size', text: 'Size', class: 'number' },
  { sort: 'published', text: 'Published', class: 'wide' },
  { text: 'By', class: 'wide' },
  { text: 'Here', class: 'number' },
  { text: 'Copies', class: 'number wide' },
];

/** Where columns are left out for want of room, their headings cannot be pressed. */
const ORDERS = {
  'name asc': 'By name', 'name desc': 'By name, backwards', 'published desc': 'Newest first', 'published asc': 'Oldest first',
  'size desc': 'Largest first', 'size asc': 'Smallest first',
};

/** One file in the table. */
function row(file, isMoving) {
  const [size, time, by, here, copies] = [h('td', { class: 'number' }), h('td', { class: 'wide' }), h('td', { class: 'wide' }), h('td', { class: 'number' }), h('td', { class: 'number wide' })];
  const node = h('tr', { 'data-name': file.name }, h('th', { scope: 'row' }, fileLink(file.name)), size, time, by, here, copies);
  let shown = null;
  return {
    node,
    update(next) {
      if (shown?.file_id !== next.file_id || shown.height !== next.height) {
        say(size, bytes(next.size));
        time.replaceChildren(when(next.time_ms));
        by.replaceChildren(nodeName(next.publisher));
      }
      shown = next;
      const moved = isMoving(next.name) ?? next.held_bytes;
      mark(node, 'data-complete', next.complete);
      say(here, next.complete ? 'all' : next.size === 0 ? 'none' : moved === 0 ? 'none' : percent(moved / next.size));
      say(copies, count(next.copies));
    },
  };
}

/** The table with its pages. `view` is what is asked for; `changed` is called when somebody wants something else. */
function listing(node, view, changed) {
  const headings = COLUMNS.map(({ sort, text, class: kind }) => {
    if (!sort) return h('th', { scope: 'col', class: kind }, text);
    const button = h('button', { type: 'button', class: 'sort', onclick: () => {
      view.order = view.sort === sort && view.order === 'asc' ? 'desc' : 'asc';
      if (view.sort !== sort && sort !== 'name') view.order = 'desc';
      view.sort = sort;
      changed();
    } }, text);
    return h('th', { scope: 'col', class: kind, 'data-sort': sort }, button);
  });
  const { node: box, body, cells } = table('files', 'Files', headings);
  const back = h('button', { id: 'back', type: 'button', onclick: () => { view.cursors.pop(); changed(true); } }, 'Previous');
  const more = h('button', { id: 'more', type: 'button', onclick: () => { view.cursors.push(view.next); changed(true); } }, 'Next');
  const where = h('p', { id: 'where-in-list', class: 'muted', 'aria-live': 'polite' });
  const none = h('div', { role: 'status' });
  const pages = h('nav', { class: 'pages', 'aria-label': 'Pages of files' }, where, back, more);
  node.append(box, none, pages);
  const fill = keyed(body, (file) => file.name, (file) => row(file, (name) => view.moving.get(name)));
  return ({ files, next, total }) => {
    view.next = next;
    for (const cell of cells) {
      if (cell.dataset.sort) mark(cell, 'aria-sort', cell.dataset.sort === view.sort ? { asc: 'ascending', desc: 'descending' }[view.order] : null);
    }
    view.choice.value = `${view.sort} ${view.order}`;
    fill(files);
    view.draw = () => fill(files);
    box.hidden = files.length === 0;
    none.replaceChildren();
    if (files.length === 0) none.append(nothing(view));
    const first = view.cursors.length * PAGE;
    say(where, files.length === 0 ? '' : total === undefined || total === null ? `${count(first + 1)} to ${count(first + files.length)}`
      : `${count(first + 1)} to ${count(first + files.length)} of ${plural(total, 'file')}`);
    const isAll = first === 0 && next === null;
    pages.hidden = isAll && files.length === 0;
    back.hidden = more.hidden = isAll;
    const focused = document.activeElement;
    back.disabled = first === 0;
    more.disabled = next === null;
    // Whoever goes on by keyboard keeps a place to go on from, and everybody sees the page from its top.
    if (focused.disabled) (back.disabled ? more : back).focus({ preventScroll: true });
    if (view.isPage && node.getBoundingClientRect().top < 0) node.scrollIntoView();
    view.isPage = false;
    if (view.opened !== null) comeBack(body, view);
  };
}

/** Whoever comes back from a file's page finds the place where it was opened, unless they are elsewhere already. */
function comeBack(body, view) {
  const link = [...body.children].find((node) => node.dataset.name === view.opened)?.querySelector('a');
  view.opened = null;
  if (!link || ![document.body, document.getElementById('title')].includes(document.activeElement)) return;
  link.focus({ preventScroll: true });
  link.scrollIntoView({ block: 'center' });
}

function nothing(view) {
  if (view.search) return empty('No file has this in its name', 'Look for a shorter part of the name.');
  return empty('There are no files yet', may('publish') ? 'Drop some on this page, or choose them above.' : 'Files that anybody publishes appear here.');
}

export function showFiles(main, { signal, search }) {
  // What the browser keeps with this entry of its history.
  const { cursors = [], opened = null } = history.state ?? {};
  const view = {
    search: search.get('search') ?? '',
    sort: COLUMNS.some(({ sort }) => sort && sort === search.get('sort')) ? search.get('sort') : 'name',
    order: search.get('order') === 'desc' ? 'desc' : 'asc',
    cursors,
    opened,
    next: null,
    isPage: false,
    choice: h('select', { id: 'order', class: 'narrow', 'aria-label': 'Order' },
      Object.entries(ORDERS).map(([value, text]) => h('option', { value }, text))),
    moving: new Map(),
    draw() {},
  };
  main.append(heading('Files'));
  if (may('publish')) main.append(uploader(main, signal));
  if (!may('read')) return;

  const field = h('input', { id: 'search', type: 'search', placeholder: 'Part of a name', value: view.search, autocomplete: 'off', spellcheck: 'false' });
  const list = h('div');
  main.append(h('form', { class: 'filters', role: 'search', onsubmit: (event) => event.preventDefault() }, h('label', { for: 'search' }, 'Search'), field, view.choice), list);

  const wanted = (after = view.cursors.at(-1)) => query({ search: view.search, sort: view.sort, order: view.order, after, limit: PAGE });
  const load = async () => {
    const asked = wanted();
    let page = await ask(`/v1/files${asked}`, { signal });
    // The node looked at as many names as it does at once, and found none.
    while (page.files.length === 0 && page.next !== null && wanted() === asked) page = await ask(`/v1/files${wanted(page.next)}`, { signal });
    // Somebody went on while this was on its way: what is wanted now is asked for at once.
    if (wanted() !== asked) return load();
    // All that stood here is gone, and what stood before it is the end.
    if (page.files.length === 0 && view.cursors.pop() !== undefined) return load();
    return page;
  };
  const remember = (name) => {
    const { sort, order } = view;
    const address = `#/files${query({ search: view.search, sort: sort === 'name' && order === 'asc' ? '' : sort, order: order === 'asc' ? '' : order })}`;
    history.replaceState({ cursors: view.cursors, opened: name }, '', address);
  };
  const changed = (isPage = false) => {
    view.isPage = isPage;
    if (!isPage) view.cursors = [];
    remember(null);
    again.now();
  };
  view.choice.addEventListener('change', () => {
    [view.sort, view.order] = view.choice.value.split(' ');
    changed();
  });
  list.addEventListener('click', (event) => {
    const opens = event.target.closest('th a')?.closest('[data-name]');
    if (opens) remember(opens.dataset.name);
  });
  let typing = null;
  field.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      view.search = field.value;
      changed();
    }, 150);
  }, { signal });
  signal.addEventListener('abort', () => clearTimeout(typing));
  const again = region(list, { types: ['file'], load, make: (node) => listing(node, view, changed), signal, gapMs: 1000 });

  on('transfer', ({ transfers }) => {
    view.moving = new Map(transfers.filter((row) => row.direction === 'in').map((row) => [row.file, row.done_bytes]));
    view.draw();
  }, signal);
}
