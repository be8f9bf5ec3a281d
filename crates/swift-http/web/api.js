// Questions to the node, and what it says when it refuses.

/** Hears of `unreachable`, `reachable` and `signedout`. */
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

/** What a refusal says, whatever came. */
export function problemOf(status, text) {
  try {
    const { code, detail, reason } = JSON.parse(text);
    return new Problem(status, code ?? 'internal', detail ?? reason ?? `The node answered ${status}.`);
  } catch {
    return new Problem(status, 'internal', `The node answered ${status}.`);
  }
}

/** The answer to a request, if it is none of refusal. */
export async function request(path, { method = 'GET', body, signal } = {}) {
  const options = { method, signal, cache: 'no-store', credentials: 'same-origin' };
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
  link.dispatchEvent(new Event('reachable'));
  if (answer.ok) return answer;
  const problem = problemOf(answer.status, await answer.text());
  if (answer.status === 401 && session !== null) link.dispatchEvent(new Event('signedout'));
  throw problem;
}

/** The same as JSON. */
export const ask = async (path, options) => (await request(path, options)).json();

/** A query, without what is empty. */
export function query(values) {
  const pairs = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return pairs.length ? `?${new URLSearchParams(pairs)}` : '';
}
