// Files on their way from this browser to the node: a few at a time, whichever page is shown.

import { filePath } from './format.js';
import { link, problemOf } from './api.js';

const AT_ONCE = 3;

const changed = new EventTarget();
const items = [];
let next = 0;

/** All of them, the first first: `{id, name, size, state, sent, error, code}`. */
export const uploads = () => items;

export function onUploads(listener, signal) {
  changed.addEventListener('change', listener, { signal });
}

let isTold = false;

/** A folder has thousands of files, and each tells of itself many times: they are told of once for each picture drawn. */
function tell() {
  if (isTold) return;
  isTold = true;
  requestAnimationFrame(() => {
    isTold = false;
    changed.dispatchEvent(new Event('change'));
  });
}

/** Puts files into the queue: `[{name, file}]`. */
export function upload(files) {
  for (const { name, file } of files) {
    items.push({ id: next++, name, file, size: file.size, state: 'waiting', sent: 0, error: null, code: null, request: null, replace: false });
  }
  pump();
}

/** Tries one again; with `replace`, in the place of what has the name now. */
export function retry(item, replace = false) {
  Object.assign(item, { state: 'waiting', sent: 0, error: null, code: null, replace });
  pump();
}

/** Tries all again that failed, but for those whose name is taken. */
export function retryFailed() {
  for (const item of items.filter(mayRetry)) Object.assign(item, { state: 'waiting', sent: 0, error: null, code: null });
  pump();
}

/** Whether trying again may help without somebody's decision. */
export const mayRetry = (item) => item.state === 'failed' && item.code !== 'name_taken';

/** Takes one out, on its way or not. What the node has all of already may be published all the same. */
export function drop(item) {
  item.request?.abort();
  items.splice(items.indexOf(item), 1);
  pump();
}

/** Whether there is something left to do. */
export const isOpen = (item) => item.state === 'sending' || item.state === 'waiting';

/** Takes out all that are not done and did not fail. */
export function dropOpen() {
  const open = items.filter(isOpen);
  items.splice(0, items.length, ...items.filter((item) => !isOpen(item)));
  for (const item of open) item.request?.abort();
  tell();
}

/** Takes out those that are done. */
export function dropDone() {
  items.splice(0, items.length, ...items.filter((item) => item.state !== 'done'));
  tell();
}

// Nobody is signed in any more.
link.addEventListener('left', () => {
  for (const item of items) item.request?.abort();
  items.length = 0;
  tell();
});

function pump() {
  const running = items.filter((item) => item.state === 'sending').length;
  for (const item of items.filter((one) => one.state === 'waiting').slice(0, Math.max(0, AT_ONCE - running))) send(item);
  tell();
}

function send(item) {
  const request = new XMLHttpRequest();
  Object.assign(item, { state: 'sending', request });
  request.open('PUT', filePath(item.name) + (item.replace ? '?replace' : ''));
  request.upload.addEventListener('progress', (event) => {
    item.sent = event.loaded;
    tell();
  });
  const end = (result) => {
    Object.assign(item, result, { request: null });
    pump();
  };
  request.addEventListener('load', () => {
    // Nothing of it is needed any more.
    if (request.status < 300) return end({ state: 'done', sent: item.size, file: null });
    const { code, message } = problemOf(request.status, request.responseText);
    end({ state: 'failed', error: message, code });
    if (request.status === 401) link.dispatchEvent(new Event('signedout'));
  });
  request.addEventListener('error', () => {
    link.dispatchEvent(new Event('unreachable'));
    end({ state: 'failed', error: 'The connection broke off. The node may be away, or the file changed or cannot be read.', code: 'broken' });
  });
  request.send(item.file);
}

// Leaving the page ends what is on its way: the browser asks first.
window.addEventListener('beforeunload', (event) => {
  if (items.some(isOpen)) event.preventDefault();
});
