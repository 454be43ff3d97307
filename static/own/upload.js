// Uploads: each file is sent by itself, with its own bar, speed and outcome; files can be dropped anywhere on the page.
// The server's answer to one file: 201 {items: [{id, title, verdict?: {ready}}]}, or problem+json with `detail`.
(() => {
  'use strict';
  const form = document.querySelector('form[data-upload]');
  if (!form || form.querySelector('fieldset').disabled) return;
  const { csrf } = window.jadwal;
  const words = form.dataset;
  const list = form.querySelector('[data-upload-list]');
  const field = form.querySelector('input[type=file]');
  const locale = window.jadwal.texts.locale;
  const waiting = [];
  let running = 0;

  // As the server writes sizes.
  const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const tenths = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
  const bytes = size => {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let unit = 0;
    while (Math.round(size) >= 1024 && unit < units.length - 1) { size /= 1024; unit += 1; }
    return (unit > 0 && size < 100 ? tenths : whole).format(size) + ' ' + units[unit];
  };
  const clock = seconds => {
    const all = Math.ceil(seconds);
    const tail = String(all % 60).padStart(2, '0');
    return all < 3600 ? `${Math.floor(all / 60)}:${tail}`
      : `${Math.floor(all / 3600)}:${String(Math.floor(all / 60) % 60).padStart(2, '0')}:${tail}`;
  };

  const row = file => {
    const item = document.createElement('li');
    item.className = 'upload-item';
    const name = document.createElement('strong');
    name.textContent = file.name;
    const said = document.createElement('span');
    said.className = 'upload-said';
    said.textContent = words.wait;
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'btn btn-sm';
    button.textContent = words.stop;
    const bar = document.createElement('progress');
    bar.className = 'meter';
    bar.max = 100;
    bar.value = 0;
    bar.setAttribute('aria-label', file.name);
    item.append(name, said, button, bar);
    list.append(item);
    const upload = { file, item, name, said, button, bar, request: null, over: false };
    button.addEventListener('click', () => {
      if (!upload.over) return stop(upload);
      item.remove();
      add([file]);
    });
    return upload;
  };

  // `again`: it may go well another time; what was refused for what it is will be refused again.
  const finish = (upload, kind, text, again) => {
    upload.over = true;
    upload.item.classList.add('upload-' + kind);
    upload.said.textContent = text;
    upload.bar.hidden = true;
    if (again) upload.button.textContent = words.again; else upload.button.hidden = true;
  };

  const stop = upload => {
    const at = waiting.indexOf(upload);
    if (at >= 0) waiting.splice(at, 1);
    if (upload.request) upload.request.abort(); else finish(upload, 'bad', words.stopped, true);
  };

  // The very same file was here before: worth a word, no fault.
  const same = async (upload, id) => {
    const answer = await fetch('/api/v1/videos/' + encodeURIComponent(id)).catch(() => null);
    if (!answer || !answer.ok) return;
    const { title } = await answer.json();
    const note = document.createElement('p');
    note.className = 'upload-same';
    const link = document.createElement('a');
    link.href = '/videos/' + encodeURIComponent(id);
    link.textContent = title;
    const [before, after] = words.same.split('{title}');
    note.append(before, link, after || '');
    upload.item.append(note);
  };

  const send = upload => {
    running += 1;
    const request = new XMLHttpRequest();
    upload.request = request;
    const body = new FormData();
    body.append('csrf', csrf);
    body.append('file', upload.file);
    let shown = 0;
    let speed = 0;
    let before = { at: performance.now(), loaded: 0 };
    request.upload.addEventListener('progress', event => {
      const now = performance.now();
      upload.bar.value = event.loaded / event.total * 100;
      if (now - before.at > 400) {
        const current = (event.loaded - before.loaded) / (now - before.at) * 1000;
        speed = speed ? speed * 0.7 + current * 0.3 : current;
        before = { at: now, loaded: event.loaded };
      }
      if (now - shown < 400) return;
      shown = now;
      const parts = [`${bytes(event.loaded)} / ${bytes(event.total)}`];
      if (speed > 0) {
        parts.push(words.speed.replace('{speed}', bytes(speed)));
        parts.push(words.left.replace('{time}', clock((event.total - event.loaded) / speed)));
      }
      upload.said.textContent = parts.join(' · ');
    });
    request.upload.addEventListener('load', () => {
      upload.said.textContent = words.checking;
      upload.bar.removeAttribute('value');
    });
    const over = (kind, text, again) => { finish(upload, kind, text, again); running -= 1; next(); };
    request.addEventListener('load', () => {
      let answer = null;
      try { answer = JSON.parse(request.responseText); } catch { /* a proxy's page: the status says enough */ }
      if (request.status === 401) { window.removeEventListener('beforeunload', leave); location.reload(); return; }
      const made = answer && answer.items && answer.items[0];
      if (request.status !== 201 || !made) {
        const faults = (answer && answer.errors || []).map(fault => fault.message).filter(Boolean);
        const detail = faults.length ? faults.join(' ') : answer && answer.detail;
        const again = request.status >= 500 || request.status === 408 || request.status === 429;
        return over('bad', `${words.failed}: ${detail || request.status}`, again);
      }
      if (made.duplicate_of) same(upload, made.duplicate_of);
      if (form.action.endsWith('/videos')) {
        const link = document.createElement('a');
        link.href = '/videos/' + encodeURIComponent(made.id);
        link.textContent = made.title || upload.file.name;
        upload.name.replaceChildren(link);
      }
      const trouble = made.verdict && made.verdict.ready === false;
      over(trouble ? 'fair' : 'good', trouble ? words.trouble : made.verdict ? words.done : '✓');
    });
    request.addEventListener('error', () => over('bad', `${words.failed}: ${window.jadwal.texts.failed}`, true));
    request.addEventListener('abort', () => over('bad', words.stopped, true));
    request.open('POST', form.action);
    request.setRequestHeader('Accept', 'application/json');
    request.setRequestHeader('X-CSRF-Token', csrf);
    request.send(body);
  };

  const leave = event => { event.preventDefault(); event.returnValue = words.leave; };

  // Two at a time: one keeps the line full while the other is being checked.
  const next = () => {
    while (running < 2 && waiting.length) send(waiting.shift());
    if (running === 0) {
      window.removeEventListener('beforeunload', leave);
      const place = document.getElementById('list');
      if (place) window.htmx.ajax('GET', location.pathname + location.search, { target: '#list', select: '#list', swap: 'outerHTML', selectOOB: '#gauge,#gauge-more' });
    }
  };

  const add = files => {
    if (!files.length) return;
    window.addEventListener('beforeunload', leave);
    waiting.push(...[...files].map(row));
    next();
  };

  form.addEventListener('submit', event => { event.preventDefault(); add(field.files); field.value = ''; });
  field.addEventListener('change', () => { add(field.files); field.value = ''; });

  let depth = 0;
  let sheet = null;
  const hide = () => { depth = 0; if (sheet) sheet.remove(); sheet = null; };
  const with_files = event => event.dataTransfer && [...event.dataTransfer.types].includes('Files');
  window.addEventListener('dragenter', event => {
    if (!with_files(event)) return;
    depth += 1;
    if (sheet) return;
    sheet = document.createElement('div');
    sheet.className = 'drop-sheet';
    sheet.textContent = words.drop;
    document.body.append(sheet);
  });
  window.addEventListener('dragleave', () => { depth -= 1; if (depth <= 0) hide(); });
  window.addEventListener('dragover', event => { if (with_files(event)) event.preventDefault(); });
  window.addEventListener('drop', event => {
    if (!with_files(event)) return;
    event.preventDefault();
    hide();
    add(event.dataTransfer.files);
  });
})();
