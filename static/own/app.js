// What every page has: asking before something is lost, light or dark without a reload, choosing many, notes that close.
// Everything works without this file, as plain forms.
(() => {
  'use strict';
  const root = document.documentElement;
  root.classList.add('scripted');
  const texts = document.getElementById('texts').dataset;
  const csrf = document.querySelector('meta[name=csrf]').content;

  // A form that was refused stands at the address it was sent to, which is no page: loading again leads to its own.
  if (document.body.dataset.address) history.replaceState(history.state, '', document.body.dataset.address);

  // A <dialog> says what will be lost before a form with data-confirm is sent.
  const ask = document.getElementById('ask');
  let asked = null;
  document.addEventListener('submit', event => {
    const form = event.target;
    if (!form.dataset.confirm || form.dataset.confirmed || event.submitter?.dataset.atOnce !== undefined) return;
    event.preventDefault();
    asked = { form, button: event.submitter };
    ask.querySelector('#ask-title').textContent = texts.confirm;
    ask.querySelector('#ask-text').textContent = form.dataset.confirm;
    ask.querySelector('[data-ask=yes]').textContent = form.dataset.confirmButton || texts.delete;
    ask.showModal();
    ask.querySelector('[data-ask=no]').focus();
  });
  ask.addEventListener('click', event => {
    if (event.target === ask) ask.close();
    const answer = event.target.closest('[data-ask]');
    if (!answer) return;
    ask.close();
    if (answer.dataset.ask === 'yes' && asked) {
      asked.form.dataset.confirmed = 'yes';
      asked.form.requestSubmit(asked.button);
    }
  });
  // What is wrong first is where the cursor goes.
  const wrong = [...document.querySelectorAll('[aria-invalid=true]')].find((field) => field.offsetParent);
  if (wrong) wrong.focus();

  // A page from the browser's memory asks again.
  window.addEventListener('pageshow', () => {
    for (const form of document.querySelectorAll('[data-confirmed]')) delete form.dataset.confirmed;
  });

  // Light or dark at once; the server remembers it.
  document.addEventListener('submit', event => {
    const form = event.target;
    if (!('themeSwitch' in form.dataset) || !event.submitter) return;
    // The settings show the choice in their own form: they are loaded anew.
    if (document.querySelector('form[action="/settings/profile"]')) return;
    event.preventDefault();
    root.setAttribute('data-bs-theme', event.submitter.value);
    const body = new URLSearchParams(new FormData(form, event.submitter));
    fetch(form.action, { method: 'POST', body, redirect: 'manual', headers: { 'X-CSRF-Token': csrf } }).catch(() => {});
    document.dispatchEvent(new CustomEvent('theme'));
  });

  // What is wrong with a field is said until the field is another.
  document.addEventListener('input', event => {
    const field = event.target;
    field.classList.remove('is-invalid');
    field.removeAttribute('aria-invalid');
    const names = [field.getAttribute('aria-describedby'), `f-${field.name}-note`];
    if (/^target\d/.test(field.name)) names.push('f-targets-note');
    for (const name of names) {
      const note = name && document.getElementById(name);
      if (!note || !note.classList.contains('invalid-feedback')) continue;
      const hint = note.nextElementSibling;
      note.remove();
      if (hint && hint.matches('.form-hint[hidden]')) { hint.hidden = false; hint.id = name; }
    }
  });

  // Menus close when one goes elsewhere.
  const close_menus = except => {
    for (const menu of document.querySelectorAll('details.menu[open]')) if (menu !== except) menu.open = false;
  };
  document.addEventListener('click', event => close_menus(event.target.closest('details.menu')));
  document.addEventListener('keydown', event => {
    if (event.key === 'Escape') {
      const open = document.querySelector('details.menu[open]');
      if (open) { open.open = false; open.querySelector('summary').focus(); }
    }
    if (event.key === '/' && !event.target.closest('input, textarea, select')) {
      const search = document.querySelector('form[role=search] input[type=search]');
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    }
  });

  // Notes can be closed.
  const dress = note => {
    if (note.querySelector('button')) return;
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = '×';
    button.setAttribute('aria-label', texts.dismiss);
    button.addEventListener('click', () => note.remove());
    note.append(button);
  };
  document.querySelectorAll('#flash .flash').forEach(dress);

  // Shows a note at the top of the page; kinds as the server's.
  const flash = (kind, text) => {
    const place = document.getElementById('flash');
    for (const old of place.children) if (old.textContent.startsWith(text)) old.remove();
    const note = document.createElement('div');
    note.className = 'flash flash-' + kind;
    note.setAttribute('role', kind === 'bad' ? 'alert' : 'status');
    const words = document.createElement('p');
    words.textContent = text;
    note.append(words);
    dress(note);
    place.append(note);
  };
  window.jadwal = { texts, csrf, flash };
  document.addEventListener('htmx:sendError', () => flash('bad', texts.failed));
  document.addEventListener('htmx:responseError', event => {
    // The login has ended: the page itself says so better than a part of it.
    if (event.detail.xhr.status === 401) location.reload(); else flash('bad', texts.failed);
  });

  // Choosing many: the bar shows when something is chosen; shift chooses a range.
  let last = null;
  const count = form => {
    const chosen = form.querySelectorAll('input[name=id]:checked').length;
    const bar = form.querySelector('[data-bulk-bar]');
    if (!bar) return;
    bar.hidden = chosen === 0;
    bar.querySelector('[data-bulk-count]').textContent = texts.chosen.replace('{n}', chosen);
  };
  const bulk = () => document.querySelectorAll('form[data-bulk]').forEach(count);
  document.addEventListener('click', event => {
    const box = event.target;
    const form = box.closest('form[data-bulk]');
    if (!form) return;
    if (box.closest('[data-bulk-none]')) {
      form.querySelectorAll('input[name=id]:checked').forEach(each => { each.checked = false; });
      count(form);
    }
    if (box.name !== 'id') return;
    if (event.shiftKey && last && last.form === box.form) {
      const boxes = [...form.querySelectorAll('input[name=id]')];
      const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
      boxes.slice(from, to + 1).forEach(each => { each.checked = box.checked; });
    }
    last = box;
    count(form);
  });
  document.addEventListener('htmx:afterSettle', bulk);
  window.addEventListener('pageshow', bulk);
  bulk();

  // A long list shows what holds the words that are typed, and what is chosen.
  document.addEventListener('input', event => {
    const field = event.target.closest('[data-narrow]');
    if (!field) return;
    const words = field.value.toLowerCase().split(/\s+/);
    for (const item of document.getElementById(field.dataset.narrow).children) {
      const text = item.textContent.toLowerCase();
      item.hidden = !item.querySelector(':checked') && !words.every(word => text.includes(word));
    }
  });

  // The video player tells where it stands.
  document.addEventListener('click', event => {
    const button = event.target.closest('[data-player-time]');
    const player = document.getElementById('player');
    if (!button || !player) return;
    player.pause();
    document.getElementById(button.dataset.playerTime).value = player.currentTime.toFixed(2);
  });

  // What has to go elsewhere letter by letter is copied; where the browser does not let us, it is chosen to be copied by hand.
  document.addEventListener('click', async event => {
    const button = event.target.closest('[data-copy]');
    if (!button) return;
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      if (!document.execCommand('copy')) return;
    }
    button.querySelector('span').textContent = button.dataset.copied;
  });

  // Whoever comes back from another site has nothing left to decide; once only, so that going back does not send again.
  const onward = document.querySelector('form[data-send-now]');
  if (onward && performance.getEntriesByType('navigation')[0]?.type === 'navigate') onward.requestSubmit();

  // Fields that belong to a choice show only with it.
  const choices = () => {
    for (const part of document.querySelectorAll('[data-show-unless]')) {
      const [name, value] = part.dataset.showUnless.split('=');
      const chosen = part.closest('form').querySelector(`[name=${name}]:checked`);
      part.hidden = !!chosen && chosen.value === value;
    }
    for (const part of document.querySelectorAll('[data-show-when]')) {
      const [name, values] = part.dataset.showWhen.split('=');
      const chosen = part.closest('form').querySelector(`[name=${name}]:checked`);
      part.hidden = !chosen || !values.split(',').includes(chosen.value);
    }
    for (const field of document.querySelectorAll('.end-choices .field')) {
      const radio = field.previousElementSibling && field.previousElementSibling.querySelector('input[type=radio]');
      if (radio) field.classList.toggle('is-off', !radio.checked);
    }
  };
  document.addEventListener('change', choices);
  document.addEventListener('htmx:afterSettle', choices);
  document.addEventListener('live:loaded', choices);
  choices();
})();
