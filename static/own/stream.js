// The stream form: add, move and remove videos of the playlist. Without script the empty rows do the same.
(() => {
  'use strict';
  const form = document.querySelector('form[data-stream-form]');
  const list = form && form.querySelector('[data-playlist]');
  if (!list) return;
  const words = form.dataset;

  const icon = name => {
    const use = document.querySelector('svg.icon use').getAttribute('href').split('#')[0];
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('class', 'icon');
    svg.setAttribute('aria-hidden', 'true');
    const inner = document.createElementNS('http://www.w3.org/2000/svg', 'use');
    inner.setAttribute('href', `${use}#${name}`);
    svg.append(inner);
    return svg;
  };
  const button = (label, name, act) => {
    const made = document.createElement('button');
    made.type = 'button';
    made.className = 'btn btn-icon';
    made.title = label;
    made.setAttribute('aria-label', label);
    made.append(icon(name));
    made.addEventListener('click', act);
    return made;
  };
  const number = () => {
    [...list.children].forEach((item, at, items) => {
      const select = item.querySelector('select');
      const label = item.querySelector('label');
      select.id = label.htmlFor = `f-video-${at + 1}`;
      label.textContent = words.number.replace('{n}', at + 1);
      item.querySelector('[data-up]').disabled = at === 0;
      item.querySelector('[data-down]').disabled = at === items.length - 1;
    });
  };
  const dress = item => {
    const up = button(words.up, 'arrow-up', () => { if (item.previousElementSibling) item.previousElementSibling.before(item); number(); up.focus(); });
    const down = button(words.down, 'arrow-down', () => { if (item.nextElementSibling) item.nextElementSibling.after(item); number(); down.focus(); });
    up.dataset.up = down.dataset.down = '';
    const remove = button(words.remove, 'x', () => {
      const near = item.nextElementSibling || item.previousElementSibling;
      if (near) item.remove(); else item.querySelector('select').value = '';
      number();
      (near || item).querySelector('select').focus();
    });
    item.append(up, down, remove);
  };
  const add = () => {
    const item = list.lastElementChild.cloneNode(true);
    item.querySelectorAll('.btn').forEach(old => old.remove());
    item.querySelector('select').value = '';
    dress(item);
    list.append(item);
    number();
    return item.querySelector('select');
  };

  // Empty rows are for those without script; one is left to choose from.
  const rows = [...list.children];
  const empty = rows.filter(item => !item.querySelector('select').value);
  empty.slice(rows.length === empty.length ? 1 : 0).forEach(item => item.remove());
  [...list.children].forEach(dress);
  number();
  form.querySelector('[data-playlist-add]').addEventListener('click', () => add().focus());
})();
