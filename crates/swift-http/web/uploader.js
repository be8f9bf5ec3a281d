// The place to drop files on, and how far they are.

import { h, keyed, mark, say } from './dom.js';
import { bytes, count, fileLink, percent, plural, shortName } from './format.js';
import { drop, dropDone, dropOpen, isOpen, mayRetry, onUploads, retry, retryFailed, upload, uploads } from './uploads.js';

const TOLD = { waiting: 'waiting', done: 'done', failed: 'failed' };
/** Uploads that are shown one by one: of a folder with thousands those that matter now. */
const SHOWN = 100;
const FIRST = ['sending', 'failed', 'waiting', 'done'];

function row(item) {
  const [state, bar, wrong, actions] = [h('span', { class: 'muted' }), h('progress', { max: 1 }), h('p', { class: 'wrong' }), h('span', { class: 'actions' })];
  const title = h('span', { class: 'what' }, shortName(item.name));
  const node = h('li', { 'data-name': item.name }, title, state, bar, wrong, actions);
  let last = null;
  return {
    node,
    update(now) {
      mark(node, 'data-state', now.state);
      const share = now.size > 0 ? Math.min(1, now.sent / now.size) : 0;
      const isSent = now.state === 'sending' && (now.sent >= now.size);
      say(state, TOLD[now.state] ?? (isSent ? 'being published' : `${percent(share)} of ${bytes(now.size)}`));
      bar.value = share;
      bar.hidden = now.state !== 'sending';
      mark(bar, 'aria-label', `Upload of ${now.name}`);
      say(wrong, now.error ?? '');
      if (last === now.state) return;
      last = now.state;
      if (now.state === 'done') title.replaceChildren(fileLink(now.name));
      const buttons = [];
      if (now.state === 'failed') {
        const isTaken = now.code === 'name_taken';
        if (isTaken) buttons.push(h('button', { type: 'button', onclick: () => retry(now, true) }, 'Replace'));
        buttons.push(h('button', { type: 'button', onclick: () => retry(now) }, 'Try again'));
      }
      if (now.state !== 'done') {
        const label = now.state === 'failed' ? 'Dismiss' : 'Cancel';
        buttons.push(h('button', { type: 'button', 'aria-label': `${label} ${now.name}`, onclick: () => drop(now) }, label));
      }
      actions.replaceChildren(...buttons);
    },
  };
}

/** What was dropped: files, and all that is in folders, each under its path. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files].map((file) => ({ name: file.name, file }));
  const found = [];
  const walk = async (entry, path) => {
    if (entry.isFile) {
      found.push({ name: path + entry.name, file: await new Promise((done, failed) => entry.file(done, failed)) });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (some.length === 0) return;
      for (const one of some) await walk(one, `${path}${entry.name}/`);
    }
  };
  for (const entry of entries) await walk(entry, '');
  return found;
}

/** Files chosen by hand; those of a folder know their path. */
const chosen = (files) => [...files].map((file) => ({ name: file.webkitRelativePath || file.name, file }));

/** Those that are shown, in their order. */
function most(all) {
  if (all.length <= SHOWN) return all;
  // Of those that are done the last ones.
  const ranked = FIRST.flatMap((state) => {
    const some = all.filter((item) => item.state === state);
    return state === 'done' ? some.reverse() : some;
  });
  return ranked.slice(0, SHOWN).sort((a, b) => a.id - b.id);
}

/** `around` is what files can be dropped on. */
export function uploader(around, signal) {
  const wrong = h('p', { class: 'wrong', role: 'alert' });
  const input = (id, props) => h('input', { id, type: 'file', multiple: true, class: 'unseen', ...props, onchange: (event) => {
    upload(chosen(event.target.files));
    event.target.value = '';
  } });
  const zone = h('div', { id: 'drop', class: 'drop' },
    h('p', null, h('span', { class: 'wide' }, 'Drop files or folders here, or choose '),
      input('upload-input'), h('label', { for: 'upload-input', class: 'button' }, 'Choose files'), ' ',
      input('upload-folder', { webkitdirectory: true }), h('label', { for: 'upload-folder', class: 'button' }, 'Choose a folder')), wrong);
  const list = h('ul', { id: 'uploads', 'aria-label': 'Uploads' });
  const [sum, clear] = [h('p', { class: 'muted', role: 'status' }), h('button', { type: 'button', class: 'quiet', onclick: dropDone }, 'Clear those that are done')];
  const again = h('button', { id: 'retry-failed', type: 'button', onclick: retryFailed }, 'Try the failed again');
  const cancel = h('button', { id: 'cancel-all', type: 'button', onclick: dropOpen }, 'Cancel all');
  const foot = h('div', { class: 'heading' }, sum, h('div', { class: 'actions' }, again, cancel, clear));
  const fill = keyed(list, (item) => item.id, row);
  const draw = () => {
    const all = uploads();
    const shown = most(all);
    fill(shown);
    list.hidden = all.length === 0;
    foot.hidden = all.length === 0;
    const [done, failed] = ['done', 'failed'].map((state) => all.filter((item) => item.state === state).length);
    clear.hidden = done === 0;
    // For one alone there is the button beside it.
    again.hidden = all.filter(mayRetry).length < 2;
    cancel.hidden = all.filter(isOpen).length < 2;
    const rest = all.length - shown.length;
    say(sum, [`${count(done)} of ${plural(all.length, 'upload')} done`, failed > 0 ? `${count(failed)} failed` : '',
      rest > 0 ? `${count(rest)} not shown` : ''].filter(Boolean).join(', '));
  };
  onUploads(draw, signal);
  draw();

  const isFiles = (event) => event.dataTransfer?.types.includes('Files');
  around.addEventListener('dragover', (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    zone.classList.add('over');
  }, { signal });
  around.addEventListener('dragleave', (event) => {
    if (!around.contains(event.relatedTarget)) zone.classList.remove('over');
  }, { signal });
  around.addEventListener('drop', async (event) => {
    zone.classList.remove('over');
    if (!isFiles(event)) return;
    event.preventDefault();
    say(wrong, '');
    try {
      upload(await dropped(event.dataTransfer));
    } catch (error) {
      say(wrong, `The browser could not read what was dropped: ${error.message}`);
    }
  }, { signal });
  return h('section', { 'aria-label': 'Upload' }, zone, list, foot);
}
