// The calendar: months, weeks, days and a list in place of the plain list of the page. Dragging moves an occurrence,
// pulling its end stretches it; which of a schedule's occurrences are meant is asked. Every entry is a link as well, and
// its page does the same without a mouse.
(() => {
  'use strict';
  const place = document.getElementById('calendar');
  const EventCalendar = window.EventCalendar;
  if (!place || !EventCalendar) return;
  const words = place.dataset;
  const { texts, csrf, flash } = window.jadwal;
  const views = { month: 'dayGridMonth', week: 'timeGridWeek', day: 'timeGridDay', list: 'listMonth' };
  const names = Object.fromEntries(Object.entries(views).map(([name, view]) => [view, name]));
  const narrow = matchMedia('(max-width: 640px)');
  const asked = new URLSearchParams(location.search).get('view');
  const first = views[asked] || (narrow.matches ? views.list : views.month);
  const editable = words.editable === 'yes';

  const pad = number => String(number).padStart(2, '0');
  const day = date => `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const HALF_AN_HOUR = 1800;
  const TOLD_FOR = 10000;
  const streams = new Map();

  // Local times of the reader's zone are reckoned without a zone: the browser's own may jump where theirs does not.
  const instant = text => Date.parse(`${text}Z`);
  const after = (text, span) => new Date(instant(text) + (span.days * 86400 + span.seconds) * 1000).toISOString().slice(0, 19);

  // What the server tells, as the calendar takes it.
  const event = entry => {
    const known = entry.end && instant(entry.end) > instant(entry.start);
    const end = known ? entry.end : after(entry.start, { days: 0, seconds: HALF_AN_HOUR });
    const shown = entry.trouble && entry.of ? 'trouble' : entry.state;
    if (!streams.has(entry.stream_id)) streams.set(entry.stream_id, entry);
    return {
      id: `${entry.url}#${entry.start}`,
      title: entry.title,
      start: entry.start,
      end,
      editable: editable && entry.editable,
      classNames: ['cal-event', `cal-${shown}`, `cal-on-${entry.platform || 'custom'}`, `cal-hue-${entry.hue}`, known ? 'cal-ends' : 'cal-open'],
      extendedProps: entry,
    };
  };
  const load = async info => {
    const answer = await fetch(`/schedules/calendar/entries?from=${info.startStr.slice(0, 10)}&to=${info.endStr.slice(0, 10)}`, {
      headers: { Accept: 'application/json' },
    });
    if (answer.status === 401) { location.reload(); return []; }
    if (!answer.ok) { flash('bad', texts.failed); return []; }
    const found = await answer.json();
    if (found.more) flash('info', words.tooMany);
    streams.clear();
    const events = found.entries.map(event);
    name_streams();
    return events;
  };

  // Which occurrences are meant, of a change that is told: resolves with the choice, or with nothing.
  const dialog = document.getElementById('reach');
  const choose = (entry, told) => new Promise(resolve => {
    if (!entry.repeats) { resolve('this'); return; }
    document.getElementById('reach-text').textContent = told;
    dialog.returnValue = '';
    dialog.addEventListener('close', () => resolve(dialog.returnValue), { once: true });
    dialog.showModal();
    dialog.querySelector('[data-reach=this]').focus();
  });
  dialog.addEventListener('click', event => {
    const button = event.target.closest('[data-reach]');
    if (button) dialog.close(button.dataset.reach);
    else if (event.target === dialog) dialog.close('');
  });

  // A local time as a person reads it.
  const told_time = new Intl.DateTimeFormat(texts.locale === 'id' ? 'id' : 'en-GB', {
    timeZone: 'UTC', weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
  });
  const change = async (info, fields, question, to) => {
    const entry = info.event.extendedProps;
    const put = { title: entry.title, from: entry.when.text, to: told_time.format(instant(to)) };
    const reach = await choose(entry, question.replace(/\{(title|from|to)\}/g, (_, name) => put[name]));
    if (!reach) { info.revert(); return; }
    const answer = await fetch(`/api/v1/schedules/${entry.schedule_id}/occurrences/${encodeURIComponent(entry.of)}`, {
      method: 'PATCH',
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': csrf },
      body: JSON.stringify({ ...fields, reach }),
    }).catch(() => null);
    if (answer && answer.ok) {
      flash('ok', words.saved);
      const note = document.querySelector('#flash > :last-child');
      setTimeout(() => note.remove(), TOLD_FOR);
    } else {
      info.revert();
      const told = answer ? await answer.json().catch(() => null) : null;
      const wrong = told && (told.errors || []).map(error => error.message).join(' ');
      flash('bad', wrong || (told && told.detail) || texts.failed);
    }
    calendar.refetchEvents();
  };

  const element = (name, className, text) => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  };
  const content = info => {
    const entry = info.event.extendedProps;
    const title = element('span', 'cal-title', entry.title);
    // Days of a month are narrow: when it begins is enough.
    const hours = info.view.type === views.month ? entry.hours.split('–')[0].trim() : entry.hours;
    // In a grid of hours the place tells the time already, and short ones have room for one line.
    const parts = info.view.type.startsWith('timeGrid') ? [title, element('span', 'cal-hours', hours)] : [element('span', 'cal-hours', hours), title];
    // Never by colour alone.
    if (entry.state !== 'planned' || info.view.type === views.list) parts.push(element('span', 'cal-state', entry.state_text));
    if (entry.changed) parts.push(element('span', 'cal-state', words.changed));
    if (entry.note) parts.push(element('span', 'cal-note', entry.note));
    if (entry.trouble) parts.push(element('span', 'cal-why', `⚠ ${entry.trouble}`));
    return { domNodes: parts };
  };

  // Which colour is which stream, of those that are shown.
  const name_streams = () => {
    const items = [...streams.values()].sort((one, other) => one.title.localeCompare(other.title)).map(entry => {
      const item = element('li', '', entry.title);
      item.prepend(element('span', `cal-dot cal-hue-${entry.hue}`, ''));
      return item;
    });
    document.getElementById('streams-key').replaceChildren(...items);
  };

  // What the clocks of the reader's zone show.
  const now = () => {
    try {
      return new Date().toLocaleString('sv-SE', { timeZone: words.zone }).replace(' ', 'T');
    } catch {
      // A zone that this browser does not know: as it was when the page came.
      return words.now;
    }
  };
  // The days of a view, and the one of them that somebody is likely to look for.
  const days_of = view => {
    const [first, end] = [day(view.currentStart), day(view.currentEnd)];
    const today = now().slice(0, 10);
    const has = date => date >= first && date < end;
    return { type: view.type, has, likely: has(today) ? today : first };
  };
  const keep = view => {
    const url = new URL(location.href);
    url.searchParams.set('view', names[view.type]);
    url.searchParams.set('date', view.likely);
    history.replaceState(null, '', url);
  };
  const is_long = view => view.type === views.month || view.type === views.list;
  let before = null;
  let aimed = '';
  // From a month to a week or a day: to today, else to the first day.
  const land = view => {
    const from = before;
    before = view;
    if (from && is_long(from) && !is_long(view) && !view.has(from.likely)) calendar.setOption('date', from.likely);
  };
  // Hours of a day begin in sight of now, else of the earliest entry; once, so that nobody is carried off.
  const aim = view => {
    const key = is_long(view) ? '' : `${view.type} ${view.likely}`;
    if (key === aimed) return;
    const starts = calendar.getEvents().map(event => event.extendedProps.start);
    const at = now();
    const times = view.has(at.slice(0, 10)) ? [at] : starts.filter(start => view.has(start.slice(0, 10)));
    const first = times.map(time => time.slice(11, 16)).sort()[0];
    if (key && !first) return;
    aimed = key;
    if (key) calendar.setOption('scrollTime', `${pad(Math.max(0, Number(first.slice(0, 2)) - 1))}${first.slice(2)}:00`);
  };

  const text = { today: words.today, prev: words.prev, next: words.next, close: words.close };
  for (const [name, view] of Object.entries(views)) text[view] = words[name];
  // A phone has room for a day's hours, or for a month whose days hold something; a list is as long as it is.
  const heights = narrow.matches
    ? { month: '42rem', week: 'calc(100vh - 9rem)', day: 'calc(100vh - 9rem)', list: 'auto' }
    : { month: 'max(38rem, 100vh - 13rem)', week: 'max(34rem, 100vh - 13rem)', day: 'max(34rem, 100vh - 13rem)', list: 'auto' };
  const own = name => ({ buttonText: standard => ({ ...standard, ...text }), height: heights[name] });
  const days = { weekday: 'short', day: 'numeric', ...(narrow.matches ? {} : { month: 'numeric' }) };
  const own_week = { ...own('week'), dayHeaderFormat: days };
  place.hidden = false;
  document.getElementById('flash').classList.add('timetable-said');
  const calendar = EventCalendar.create(place, {
    view: first,
    date: words.date,
    timeZone: words.offset,
    locale: texts.locale === 'id' ? 'id' : 'en-GB',
    firstDay: 1,
    buttonText: text,
    views: Object.fromEntries(Object.entries(views).map(([name, view]) => [view, name === 'week' ? own_week : own(name)])),
    headerToolbar: { start: 'prev,today,next', center: 'title', end: Object.values(views).join(',') },
    noEventsContent: words.none,
    moreLinkContent: arg => words.more.replace('{n}', arg.num),
    dayMaxEvents: true,
    nowIndicator: true,
    scrollTime: '06:00:00',
    allDaySlot: false,
    eventTimeFormat: { hour: '2-digit', minute: '2-digit', hour12: false },
    slotLabelFormat: { hour: '2-digit', minute: '2-digit', hour12: false },
    snapDuration: '00:15:00',
    longPressDelay: 500,
    lazyFetching: true,
    eventSources: [{ events: load }],
    eventContent: content,
    eventDidMount: info => {
      const entry = info.event.extendedProps;
      info.el.dataset.of = entry.of || '';
      info.el.setAttribute('aria-label', [entry.title, entry.when.text, entry.state_text, entry.note, entry.trouble].filter(Boolean).join(', '));
    },
    eventClick: info => { location.href = info.event.extendedProps.url; },
    dateClick: info => {
      if (!editable || info.view.type === views.list) return;
      const at = info.allDay ? `${info.dateStr.slice(0, 10)}T19:00` : info.dateStr.slice(0, 16);
      location.href = `/schedules/new?at=${encodeURIComponent(at)}`;
    },
    eventDrop: info => {
      const start = after(info.event.extendedProps.start, info.delta);
      change(info, { starts_at: start, time_zone: words.zone }, words.move, start);
    },
    eventResize: info => {
      const { seconds } = info.event.extendedProps;
      const by = info.endDelta.days * 86400 + info.endDelta.seconds;
      const duration = (seconds === null ? HALF_AN_HOUR : seconds) + by;
      change(info, { duration }, words.stretch, after(info.event.extendedProps.start, { days: 0, seconds: duration }));
    },
    datesSet: info => {
      const view = days_of(info.view);
      keep(view);
      // Not while the calendar is still being made.
      queueMicrotask(() => { land(view); aim(view); });
    },
    eventAllUpdated: info => aim(days_of(info.view)),
  });
  document.getElementById('calendar-list').remove();

  // What begins, ends or is changed elsewhere is there when one comes back.
  document.addEventListener('visibilitychange', () => { if (!document.hidden && !dialog.open) calendar.refetchEvents(); });

  // Colours by state, platform or stream; remembered by this browser.
  const foot = document.getElementById('calendar-foot');
  const colours = document.getElementById('colours');
  const paint = () => {
    place.dataset.colours = colours.value;
    for (const key of foot.querySelectorAll('[data-key]')) key.hidden = key.dataset.key !== colours.value;
  };
  try {
    const kept = localStorage.getItem('calendar-colours');
    if ([...colours.options].some(option => option.value === kept)) colours.value = kept;
  } catch { /* not allowed here */ }
  colours.addEventListener('change', () => {
    paint();
    try { localStorage.setItem('calendar-colours', colours.value); } catch { /* not allowed here */ }
  });
  paint();
  foot.hidden = false;
})();
