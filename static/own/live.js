// Pages that update by themselves: the dashboard, a stream, a video, the jobs, moving in, a run (graph only).
//
// The server's events at data-events: `event: state`, data one JSON object; every part may be absent:
//   shape  string                     other than data-shape: buttons or cards changed, the live part is loaded again
//   text   {key: string}              → [data-live="key"]         ready text in the reader's language
//   value  {key: 0–100}               → [data-live-value="key"]   progress bars
//   level  {key: ok|warn|bad}         → class of that progress bar
//   point  [unix seconds, bits/s]     → one more point of the graph (same second: ignored)
//   log    [string]                   → [data-live-lines="log"]
//   on_air, retrying number           of streams on air, and tried again: colour the mark on top
//
// Keys on the dashboard: "<stream id>/words", "box/disk|memory|cpu|uplink" (value, level; operators only), "box/…/words";
// on a stream: "words", "target/<index from 0>/words", "run/<id>/length|restarts|bytes" of what is on air;
// on a video: "job/words", "job/progress" (value); on the jobs: "job/<id>/words", "job/<id>/progress" (value);
// on moving in: "moving/words", "moving/progress" (value);
// on all: "on-air-count", "storage" (text, value, level).
(() => {
  'use strict';
  const { texts } = window.jadwal;
  const KEPT = 600;
  let graph = null;
  let times = [];
  let rates = [];

  const rate = value => value === null || value === undefined ? ''
    : `${new Intl.NumberFormat(texts.locale, { maximumFractionDigits: 2 }).format(value / 1e6)} Mbit/s`;

  // The graph is drawn anew when its place, the colours or the width change; otherwise it takes new data.
  const draw = () => {
    const place = document.getElementById('graph');
    if (graph) { graph.destroy(); graph = null; }
    if (!place || !window.uPlot || times.length < 2) return;
    place.replaceChildren();
    // Resolved colours: light-dark() is not known to a canvas.
    const colour = name => {
      const probe = document.createElement('span');
      probe.className = name;
      place.append(probe);
      const found = getComputedStyle(probe).color;
      probe.remove();
      return found;
    };
    const [line, text, grid] = [colour('graph-line'), colour('graph-text'), colour('graph-grid')];
    const zone = place.dataset.zone;
    const told = new Intl.DateTimeFormat(texts.locale, { timeZone: zone, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
    const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    graph = new window.uPlot({
      width: place.clientWidth,
      height: 220,
      // The last time on the axis is not cut, and no second is told twice.
      padding: [null, 28, null, null],
      tzDate: seconds => window.uPlot.tzDate(new Date(seconds * 1000), zone),
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [0, Math.max(high, 1e5) * 1.15] } },
      axes: [
        { ...axis, space: 72, incrs: [1, 2, 5, 10, 15, 30, ...[1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440].map(minutes => minutes * 60)], values: (_, splits) => splits.map(at => told.format(new Date(at * 1000)).slice(0, splits[1] - splits[0] < 60 ? 8 : 5)) },
        { ...axis, size: 52, values: (_, splits) => splits.map(at => new Intl.NumberFormat(texts.locale).format(at / 1e6)) },
      ],
      series: [
        { label: place.dataset.time, value: (_, at) => told.format(new Date((at ?? times[times.length - 1]) * 1000)) },
        { label: place.dataset.label, stroke: line, width: 2, fill: line.replace(/rgb\(([^)]+)\)/, 'rgba($1, 0.12)'), points: { show: false }, value: (_, value) => rate(value ?? rates[rates.length - 1]) },
      ],
    }, [times, rates], place);
  };

  const read = () => {
    const place = document.getElementById('graph');
    let points = [];
    try { points = JSON.parse(place ? place.dataset.points : '[]'); } catch { /* nothing to draw */ }
    times = points.map(point => point[0]);
    rates = points.map(point => point[1]);
    draw();
  };

  const add = point => {
    if (times.length && point[0] <= times[times.length - 1]) return;
    times.push(point[0]);
    rates.push(point[1]);
    if (times.length > KEPT) { times.shift(); rates.shift(); }
    if (graph) graph.setData([times, rates]); else draw();
  };

  let width = innerWidth;
  window.addEventListener('resize', () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
  document.addEventListener('theme', () => requestAnimationFrame(draw));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  read();

  const each = (values, attribute, act) => {
    for (const [key, value] of Object.entries(values || {})) {
      for (const element of document.querySelectorAll(`[${attribute}="${CSS.escape(key)}"]`)) act(element, value);
    }
  };

  const show = state => {
    each(state.text, 'data-live', (element, text) => { if (element.textContent !== text) element.textContent = text; });
    each(state.value, 'data-live-value', (element, value) => { element.value = value; });
    each(state.level, 'data-live-value', (element, level) => { element.className = 'meter meter-' + level; });
    if (state.point) add(state.point);
    const log = document.querySelector('[data-live-lines=log]');
    if (log && state.log) {
      const text = state.log.length ? state.log.join('\n') : log.dataset.empty;
      if (log.textContent.trim() !== text.trim()) {
        const at_end = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
        log.textContent = text;
        if (at_end) log.scrollTop = log.scrollHeight;
      }
    }
  };

  // Buttons or cards changed: the live part of this very page again, which a refused form shows at another address. What a person is typing there is kept for later.
  let loading = false;
  const load = async () => {
    const part = document.getElementById('live');
    if (loading || part.contains(document.activeElement) && document.activeElement.matches('input, select, textarea')) return;
    loading = true;
    try {
      const answer = await fetch(part.dataset.page || location.href, { headers: { Accept: 'text/html' } });
      if (answer.redirected || answer.status === 401) { location.reload(); return; }
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const fresh = page.getElementById('live');
      if (!fresh) return;
      const focused = document.activeElement && document.activeElement.id;
      part.replaceWith(document.adoptNode(fresh));
      // What stands elsewhere on the page and is about the same thing.
      for (const other of document.querySelectorAll('[data-live-too]')) {
        const next = page.getElementById(other.id);
        if (next) other.replaceWith(document.adoptNode(next));
      }
      // "Is going on air" has been overtaken by what the page now shows.
      document.querySelectorAll('#flash .flash-ok').forEach(note => note.remove());
      if (focused && document.getElementById(focused)) document.getElementById(focused).focus();
      read();
      document.dispatchEvent(new CustomEvent('live:loaded'));
    } catch { /* the next event tries again */ } finally { loading = false; }
  };

  const start = document.getElementById('live');
  if (!start || !start.dataset.events) return;
  const pill = document.querySelector('.onair');
  let trouble = 0;
  let source = null;
  const connect = () => {
    source = new EventSource(start.dataset.events);
    source.addEventListener('state', event => {
      const state = JSON.parse(event.data);
      show(state);
      if (pill && 'on_air' in state) pill.classList.toggle('onair-on', state.on_air > 0);
      if (pill && 'retrying' in state) pill.classList.toggle('onair-retrying', state.retrying > 0);
      const part = document.getElementById('live');
      if (part && state.shape !== undefined && state.shape !== part.dataset.shape) load();
    });
    source.addEventListener('open', () => {
      clearTimeout(trouble);
      trouble = 0;
      document.querySelectorAll('#flash [data-offline]').forEach(note => note.remove());
    });
    source.addEventListener('error', () => {
      trouble = trouble || setTimeout(() => {
        window.jadwal.flash('warn', texts.offline);
        document.querySelector('#flash > :last-child').dataset.offline = 'yes';
      }, 5000);
      // A closed source (the server said no) does not come back by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 10000);
    });
  };
  connect();
  window.addEventListener('pagehide', () => source.close());
  window.addEventListener('pageshow', event => { if (event.persisted) connect(); });

  // The current frame, about every five seconds while somebody looks.
  const refresh = image => {
    const next = new Image();
    next.addEventListener('load', () => { image.src = next.src; image.hidden = false; });
    next.src = image.dataset.frame + '?at=' + Date.now();
  };
  document.addEventListener('error', event => {
    if (event.target.matches && event.target.matches('img[data-frame]')) event.target.hidden = true;
  }, true);
  setInterval(() => { if (!document.hidden) document.querySelectorAll('img[data-frame]').forEach(refresh); }, 5000);
})();
