// Signing in: by a one-time address, or with a token.

import { ask } from './api.js';
import { h, heading, say } from './dom.js';

/** Signs in with the secret of a one-time address, if the address bar holds one. It is taken out of there at once. */
export function takeSecret(enter, leave) {
  const found = /^#signin=(.+)$/.exec(location.hash);
  if (!found) return false;
  history.replaceState(null, '', location.pathname);
  ask('/v1/sessions', { method: 'POST', body: { secret: found[1] } }).then(enter, (error) => leave(error.message));
  return true;
}

/** The form. `reason` says why it is here, if anything but a first visit. */
export function showSignIn(main, reason, enter) {
  const field = h('input', { id: 'token', name: 'token', type: 'password', autocomplete: 'off', spellcheck: 'false', required: true, 'aria-describedby': 'token-help signin-error' });
  const wrong = h('p', { id: 'signin-error', class: 'wrong', role: 'alert' });
  const button = h('button', { type: 'submit', class: 'main' }, 'Sign in');
  const form = h('form', { id: 'signin', class: 'card' },
    h('label', { for: 'token' }, 'Token'), field, wrong, button,
    h('p', { id: 'token-help', class: 'muted' },
      'On the node\u2019s machine, ', h('code', null, 'swiftctl dashboard'),
      ' prints an address that signs a browser in, once. A token is made by ', h('code', null, 'swiftctl token create'),
      '; whoever runs the node can give you one.'));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    say(wrong, '');
    try {
      enter(await ask('/v1/sessions', { method: 'POST', body: { token: field.value.trim() } }));
    } catch (error) {
      say(wrong, error.message);
      button.disabled = false;
      field.select();
      field.focus();
    }
  });
  main.replaceChildren(h('div', { class: 'signin' }, heading('Sign in'), reason ? h('p', { class: 'reason', role: 'status' }, reason) : null, form));
  document.title = 'Sign in \u00b7 SwiftServe';
  field.focus();
}
