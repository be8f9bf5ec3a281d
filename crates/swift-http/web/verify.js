// Has the node check its whole ledger again, in front of whoever asks.

import { request } from './api.js';
import { h, say } from './dom.js';
import { count, percent, plural, short } from './format.js';

/** Goes through the events of an answer as they come. */
async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      const field = (name) => part.split('\n').find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      if (field('data')) yield { type: field('event') ?? 'message', data: JSON.parse(field('data')) };
    }
  }
}

export function verifier(signal) {
  const bar = h('progress', { max: 1, value: 0, hidden: true, 'aria-label': 'Progress of the check' });
  const told = h('p', { id: 'verified', role: 'status' }, '');
  const button = h('button', { id: 'verify', type: 'button', class: 'main' }, 'Verify');
  const end = (state, text) => {
    told.dataset.state = state;
    say(told, text);
  };
  const run = async () => {
    const answer = await request('/v1/verify', { signal, isLong: true });
    for await (const { type, data } of events(answer)) {
      if (type === 'progress') {
        bar.value = data.head > 0 ? data.height / data.head : 1;
        const text = `Block ${count(data.height)} of ${count(data.head)} (${percent(bar.value)}), ${plural(data.signatures, 'signature')}`;
        end('running', text);
      } else if (type === 'done') {
        return end('good', `All ${plural(data.blocks, 'block')}, ${plural(data.transactions, 'transaction')} and ${plural(data.signatures, 'signature')} hold, up to block ${count(data.height)} with the hash ${short(data.hash)}.`);
      } else if (type === 'broken') {
        return end('bad', `Block ${count(data.height)} does not hold: ${data.reason}`);
      } else if (type === 'failed') {
        return end('bad', `The check could not be made: ${data.reason}`);
      }
    }
    return end('bad', 'The check broke off before its end. Try again.');
  };
  button.addEventListener('click', async () => {
    button.disabled = true;
    bar.hidden = false;
    bar.value = 0;
    end('running', 'Checking\u2026');
    try {
      await run();
    } catch (error) {
      if (error.name !== 'AbortError') end('bad', error.message);
    }
    bar.hidden = true;
    button.disabled = false;
  });
  return h('section', { class: 'card verify', 'aria-labelledby': 'verify-title' },
    h('div', { class: 'heading' }, h('div', null, h('h2', { id: 'verify-title' }, 'Verify the chain'),
      h('p', { class: 'muted' }, 'The node checks every block, every signature and every certificate again, from the first one on.')), button), bar, told);
}
