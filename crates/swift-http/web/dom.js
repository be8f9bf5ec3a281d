// Elements and lists. Text goes in as text, never as markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element: `h('p', {class: 'muted', onclick: f}, 'text', child)`. What is null or false is left out. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same of an SVG. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Sets a text unless it is so already, so that nothing is announced or drawn again without need. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute; null takes it away. */
export function mark(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? '' : String(value));
}

/**
 * Makes the children of a node those of a list. A child stays the same element for as long as its key is there, so
 * focus and selection outlive what is new. `make(item)` gives `{node, update(item)}`.
 */
export function keyed(parent, keyOf, make) {
  const rows = new Map();
  return (items) => {
    const gone = new Set(rows.keys());
    let at = parent.firstChild;
    for (const item of items) {
      const key = keyOf(item);
      gone.delete(key);
      let row = rows.get(key);
      if (!row) rows.set(key, (row = make(item)));
      row.update(item);
      if (row.node === at) at = at.nextSibling;
      else parent.insertBefore(row.node, at);
    }
    for (const key of gone) {
      rows.get(key).node.remove();
      rows.delete(key);
    }
  };
}

/** A table with a caption for screen readers and headings; the body is to be filled. */
export function table(id, caption, headings) {
  const body = h('tbody');
  const cells = headings.map((heading) =>
    heading instanceof Node ? heading : h('th', { scope: 'col', class: heading.class }, heading.text ?? heading));
  const node = h('table', { id }, h('caption', { class: 'unseen' }, caption), h('thead', null, h('tr', null, cells)), body);
  return { node: h('div', { class: 'table', role: 'region', 'aria-label': caption, tabindex: 0 }, node), body, cells };
}

/** A page's heading and what stands beside it. The heading takes the focus when the page comes. */
export function heading(text, ...beside) {
  return h('div', { class: 'heading' }, h('h1', { id: 'title', tabindex: -1 }, text), h('div', { class: 'actions' }, beside));
}

/** A box for what there is nothing of. */
export function empty(title, ...text) {
  return h('div', { class: 'empty' }, h('p', { class: 'strong' }, title), text.length > 0 ? h('p', { class: 'muted' }, text) : null);
}
