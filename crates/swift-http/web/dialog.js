// Questions to whoever looks at the page, and short words to them.

import { h, say } from './dom.js';

/** Says something for a while; what went wrong stays until it is closed. */
export function notice(text, { isWrong = false } = {}) {
  const close = h('button', { type: 'button', class: 'quiet', 'aria-label': 'Close this message' }, '\u00d7');
  const node = h('div', { class: isWrong ? 'notice bad' : 'notice' }, h('p', null, text), close);
  close.addEventListener('click', () => node.remove());
  document.getElementById('notices').append(node);
  if (!isWrong) setTimeout(() => node.remove(), 6000);
}

/**
 * A dialog with what is to be read or filled in. Confirming runs `act`; it stays open, and says why, if that fails.
 * Gives whether it was done.
 */
export function dialog({ title, body, confirm, isDanger = false, isQuestion = true, act = async () => {} }) {
  return new Promise((resolve) => {
    const wrong = h('p', { class: 'wrong', role: 'alert' });
    const yes = h('button', { type: 'submit', value: 'confirm', class: isDanger ? 'danger' : 'main' }, confirm);
    const no = h('button', { type: 'button', value: 'cancel', autofocus: isDanger }, 'Cancel');
    const form = h('form', { method: 'dialog' }, h('h2', { id: 'dialog-title' }, title), body, wrong, h('div', { class: 'actions' }, isQuestion ? no : null, yes));
    const node = h('dialog', { 'aria-labelledby': 'dialog-title' }, form);
    no.addEventListener('click', () => node.close());
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      yes.disabled = true;
      say(wrong, '');
      try {
        await act();
        node.close('confirm');
      } catch (error) {
        say(wrong, error.message);
        yes.disabled = false;
      }
    });
    node.addEventListener('close', () => {
      node.remove();
      resolve(node.returnValue === 'confirm');
    });
    document.body.append(node);
    node.showModal();
  });
}

/** A button that copies a text. Where the browser lets no page do so, the text is marked to be copied by hand. */
export function copyButton(id, label, text, shown) {
  const button = h('button', { id, type: 'button' }, label);
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text());
      say(button, 'Copied');
    } catch {
      getSelection().selectAllChildren(shown);
      say(button, 'Marked: press Ctrl+C');
    }
    setTimeout(() => say(button, label), 2000);
  });
  return button;
}
