// The live page: one EventSource a tab carries facts; on a newer state the
// page's own address with ?fragment=page is fetched, at most once a second,
// and morphed in. Three missed beats make the page stale.
import { say } from './dialogs.js';
import { addPoint, mountCharts } from './charts.js';

const beatMS = 5000;
const missed = 3;
const maxBackOffMS = 30000;

let source = null;
let retry = 0; // timer of the next try
let backOff = 1000;
let last = Date.now(); // of anything heard
let stale = false;
let fetching = false;
let wanted = false;

// Server time minus this clock, so that countdowns agree with the server.
let skew = Number(document.body.dataset.now || Date.now()) - Date.now();

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: 'UTC' });

function status() {
  const pill = document.getElementById('live');
  if (!pill) return;
  stale = Date.now() - last > beatMS * missed;
  pill.classList.toggle('stale', stale);
  pill.classList.toggle('idle', !stale && source?.readyState !== EventSource.OPEN);
  document.body.classList.toggle('is-stale', stale);
  document.getElementById('live-text').textContent = stale
    ? `Stale, last data ${clock.format(last + skew)}` : source?.readyState === EventSource.OPEN ? 'Live' : 'Connecting';
}

function heard() { last = Date.now(); backOff = 1000; if (stale) refresh(); status(); }

// Fields that somebody has typed into, open dialogs and details, and what a
// module draws itself survive a morph.
const callbacks = {
  beforeNodeMorphed: (from, to) => {
    if (!(from instanceof Element)) return true;
    if (from.hasAttribute('data-keep')) {
      for (const name of ['aria-label', 'data-until']) if (to.hasAttribute?.(name)) from.setAttribute(name, to.getAttribute(name));
      return false;
    }
    return !(from.matches('dialog[open]') || dirty(from));
  },
  beforeAttributeUpdated: (name, node) => !(name === 'open' && node.matches('dialog, details')) && !(name === 'hidden' && node.id === 'reorder'),
  beforeNodeRemoved: node => !(node instanceof Element && node.matches('dialog[open]')),
};

function dirty(el) {
  if (el instanceof HTMLInputElement) return el.type !== 'hidden' && (el.value !== el.defaultValue || el.checked !== el.defaultChecked);
  return el instanceof HTMLSelectElement && el.matches('dialog[open] *');
}

// keepOrder leaves the rows of the overview where they are while somebody
// points at or has focus in the table; the new order is offered as a button.
function keepOrder(now, next) {
  const rows = now.querySelector('#rows');
  const fresh = next.querySelector('#rows');
  if (!rows || !fresh || !rows.matches(':hover, :focus-within')) return false;
  const order = [...rows.children].map(tr => tr.id);
  const before = [...fresh.children].map(tr => tr.id).join();
  for (const tr of order.map(id => fresh.querySelector(`#${CSS.escape(id)}`)).reverse()) if (tr) fresh.prepend(tr);
  return [...fresh.children].map(tr => tr.id).join() !== before;
}

function morph(html) {
  const page = document.getElementById('page');
  const box = document.createElement('template');
  box.innerHTML = html;
  const next = box.content.firstElementChild;
  if (!page || next?.id !== 'page') return;
  const verdict = document.getElementById('status')?.textContent;
  const moved = keepOrder(page, next);
  Idiomorph.morph(page, next, { morphStyle: 'outerHTML', callbacks });
  const chip = document.getElementById('reorder');
  if (chip && moved) chip.hidden = false;
  const word = document.getElementById('status')?.textContent;
  if (word && word !== verdict) say(`Now: ${word}`);
  mountCharts();
  tick();
}

async function refresh() {
  wanted = true;
  if (fetching) return;
  fetching = true;
  while (wanted) {
    wanted = false;
    try {
      const url = new URL(location.href);
      url.hash = '';
      url.searchParams.set('fragment', 'page');
      const res = await fetch(url, { headers: { Accept: 'text/html' }, credentials: 'same-origin' });
      if (res.status === 401) { location.reload(); return; }
      if (res.ok) {
        const date = Date.parse(res.headers.get('X-Serin-Now') ?? '');
        if (date) skew = date - Date.now();
        // The first rollout turns the welcome page into the list.
        morph(await res.text());
      }
    } catch { /* the stale state says so */ }
    await new Promise(done => setTimeout(done, 1000));
  }
  fetching = false;
}

function mine(data) {
  const id = /^\/rollouts\/([^/]+)/.exec(location.pathname)?.[1];
  return !id || !data?.id || data.id === decodeURIComponent(id);
}

function parse(e) { try { return JSON.parse(e.data); } catch { return null; } }

function connect(url) {
  source = new EventSource(url);
  source.addEventListener('open', heard);
  // A page that waits for what no fact tells of looks again at every beat.
  source.addEventListener('beat', () => { heard(); if (document.querySelector('[data-poll]')) refresh(); });
  source.addEventListener('reload', () => { heard(); refresh(); });
  source.addEventListener('rollout', e => { heard(); if (mine(parse(e))) refresh(); });
  source.addEventListener('alert', () => { heard(); if (document.querySelector('[data-alerts]')) refresh(); });
  source.addEventListener('incident', () => { heard(); if (document.querySelector('[data-incidents]')) refresh(); });
  source.addEventListener('point', e => { heard(); const p = parse(e); if (p && mine(p)) addPoint(p); });
  source.addEventListener('error', () => {
    status();
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again itself
    retry = setTimeout(() => connect(url), backOff + Math.random() * 500);
    backOff = Math.min(backOff * 2, maxBackOffMS);
  });
}

// A page that nobody sees lets go of its connection, be it in another tab or
// kept by the browser for "back": over plain HTTP a browser has six of them
// for a server. It catches up when it is seen again.
function hide() { clearTimeout(retry); source?.close(); source = null; }

function show(url) {
  if (source) return;
  connect(url);
  refresh();
}

function words(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  const h = Math.floor(s / 3600);
  const m = Math.floor(s % 3600 / 60);
  const two = n => String(n).padStart(2, '0');
  return h ? `${h}h ${two(m)}m` : `${m}:${two(s % 60)}`;
}

function tick() {
  for (const el of document.querySelectorAll('[data-until]')) {
    el.textContent = stale ? '—' : words(Number(el.dataset.until) - Date.now() - skew);
  }
}

export function startClocks() {
  tick();
  setInterval(tick, 1000);
}

export function startLive() {
  const url = document.body.dataset.stream;
  if (!url) return;
  document.addEventListener('click', e => { if (e.target.id === 'reorder') location.reload(); });
  setInterval(status, 1000);
  document.addEventListener('visibilitychange', () => { if (document.hidden) hide(); else show(url); });
  addEventListener('pagehide', hide);
  addEventListener('pageshow', e => { if (e.persisted) show(url); });
  if (!document.hidden) connect(url);
}
