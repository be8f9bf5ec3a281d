// Questions to the node, and what it says when it refuses.

/** How long an answer is waited for. A write waits for its block, and the node says so in time when none comes. */
const READ_MS = 15000;
const WRITE_MS = 60000;

/** Hears of `unreachable`, `reachable`, `signedout` (the node says so) and `left` (it is so). */
export const link = new EventTarget();

/** The node refused. Its reason is for people. */
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** The node could not be asked. */
export class Unreachable extends Error {
  constructor() {
    super('The node does not answer.');
  }
}

let session = null;

/** Who is signed in: `{label, scopes, expires_ms}`. */
export const who = () => session;

export function setSession(found) {
  session = found;
}

/** Whether who is signed in may do something. */
export const may = (scope) => session !== null && (session.scopes.includes('admin') || session.scopes.includes(scope));

/** A reason as a sentence by itself. */
const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;

/** What a refusal says, whatever came. */
export function problemOf(status, text) {
  try {
    const { code, detail, reason } = JSON.parse(text);
    return new Problem(status, code ?? 'internal', sentence(detail ?? reason ?? `The node answered ${status}`));
  } catch {
    return new Problem(status, 'internal', `The node answered ${status}.`);
  }
}

/** The answer to a request, unless the node refuses. With `isLong` it may take as long as it takes. */
export async function request(path, { method = 'GET', body, signal, isLong = false } = {}) {
  const limit = isLong ? null : AbortSignal.timeout(method === 'GET' ? READ_MS : WRITE_MS);
  const options = { method, signal: AbortSignal.any([signal, limit].filter(Boolean)), cache: 'no-store', credentials: 'same-origin' };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { 'content-type': 'application/json' };
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    link.dispatchEvent(new Event('unreachable'));
    throw new Unreachable();
  }
  const isOut = answer.status === 401 && session !== null;
  link.dispatchEvent(new Event(isOut ? 'signedout' : 'reachable'));
  if (answer.ok) return answer;
  throw problemOf(answer.status, await answer.text());
}

/** The same as JSON. */
export const ask = async (path, options) => (await request(path, options)).json();

/** All rows of a list, page after page. */
export async function askAll(path, rows, options) {
  const all = [];
  let after = null;
  do {
    const page = await ask(path + query({ limit: 1000, after }), options);
    all.push(...page[rows]);
    after = page.next;
  } while (after !== null);
  return all;
}

/** A query, without what is empty. */
export function query(values) {
  const pairs = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return pairs.length ? `?${new URLSearchParams(pairs)}` : '';
}
