// Canary against control: both arms, always-valid band, limit line, stage
// marks, one cursor for all charts, keyboard, and gaps that stay gaps.

const mounted = new Map(); // figure -> chart
let observer = null;

const token = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const hour = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: 'UTC' });
const day = new Intl.DateTimeFormat('en-GB', { weekday: 'short', hour: '2-digit', minute: '2-digit', timeZone: 'UTC' });

// number writes three significant digits, whole numbers in full.
function number(v) {
  if (v === 0 || Number.isInteger(v)) return v.toLocaleString('en-US');
  const digits = 2 - Math.floor(Math.log10(Math.abs(v)));
  return v.toLocaleString('en-US', { maximumFractionDigits: Math.max(0, Math.min(9, digits)) });
}

const scales = {
  ms: [[1, 1, 'ms'], [1e3, 1e3, 's'], [120e3, 60e3, 'min'], [7200e3, 3600e3, 'h'], [172800e3, 86400e3, 'd']],
  B: [[1, 1, 'B'], [1e3, 1e3, 'kB'], [1e6, 1e6, 'MB'], [1e9, 1e9, 'GB'], [1e12, 1e12, 'TB']],
};

// format writes a value as the server does: judge.Format.
function format(v, unit) {
  if (v == null || !Number.isFinite(v)) return '—';
  if (scales[unit]) {
    let use = scales[unit][0];
    for (const s of scales[unit]) if (Math.abs(v) >= s[0] * 0.9995) use = s;
    return `${number(v / use[1])} ${use[2]}`;
  }
  if (unit.startsWith('%')) return number(v * 100) + unit;
  return unit ? `${number(v)} ${unit}` : number(v);
}

// range leaves room around data and, unless it is far away, the limit.
function range(c) {
  let lo = Infinity, hi = -Infinity;
  for (const col of c.data.slice(3)) for (const v of col) if (v != null) { lo = Math.min(lo, v); hi = Math.max(hi, v); }
  if (lo > hi) { lo = 0; hi = c.limit || 1; }
  const span = hi - lo || Math.abs(hi) || 1;
  // A band may be far wider than what it surrounds: it does not flatten the arms.
  const least = lo - span, most = hi + span;
  for (const v of c.data[1]) if (v != null) lo = Math.min(lo, Math.max(v, least));
  for (const v of c.data[2]) if (v != null) hi = Math.max(hi, Math.min(v, most));
  if (c.limit != null && c.limit < hi + 4 * span && c.limit > lo - 4 * span) { lo = Math.min(lo, c.limit); hi = Math.max(hi, c.limit); }
  const pad = (hi - lo || span) * 0.12;
  const floor = lo >= 0 ? Math.max(0, lo - pad) : lo - pad;
  return [floor < (hi - floor) * 0.5 && lo >= 0 ? 0 : floor, hi + pad];
}

function drawMarks(u, c) {
  const ctx = u.ctx, dpr = devicePixelRatio || 1, box = u.bbox;
  ctx.save();
  ctx.font = `500 ${10.5 * dpr}px Geist, sans-serif`;
  ctx.textAlign = 'left';
  for (const m of c.marks) {
    const x = u.valToPos(m.t, 'x', true);
    if (x < box.left || x > box.left + box.width) continue;
    ctx.strokeStyle = token('--line-2');
    ctx.lineWidth = dpr;
    ctx.beginPath(); ctx.moveTo(x, box.top); ctx.lineTo(x, box.top + box.height); ctx.stroke();
    ctx.fillStyle = token('--text-3');
    const end = x > box.left + box.width - 40 * dpr;
    ctx.textAlign = end ? 'right' : 'left';
    ctx.fillText(m.text, x + (end ? -4 : 4) * dpr, box.top + box.height - 6 * dpr);
  }
  const y = c.limit == null ? NaN : u.valToPos(c.limit, 'y', true);
  if (y >= box.top && y <= box.top + box.height) {
    ctx.strokeStyle = ctx.fillStyle = token('--fail');
    ctx.lineWidth = 1.2 * dpr;
    ctx.setLineDash([5 * dpr, 4 * dpr]);
    ctx.beginPath(); ctx.moveTo(box.left, y); ctx.lineTo(box.left + box.width, y); ctx.stroke();
    ctx.textAlign = 'left';
    ctx.textBaseline = 'bottom';
    ctx.fillText(`limit ${format(c.limit, c.unit)}`, box.left + 2 * dpr, y - 3 * dpr);
  }
  ctx.restore();
}

function options(c) {
  const panel = c.figure.dataset.kind === 'panel';
  const axis = { stroke: token('--text-3'), font: '11px Geist, sans-serif', ticks: { show: false }, gap: 6 };
  const wide = () => c.data[0].length > 1 && c.data[0].at(-1) - c.data[0][0] > 36 * 3600;
  const quiet = { stroke: 'transparent', points: { show: false } };
  // A lone value between gaps has no line, so it is drawn as a point.
  const lone = { show: (u, i) => c.data[i].filter(v => v != null).length < 3, size: 5 };
  return {
    width: Math.max(120, c.plot.clientWidth - 12), height: c.plot.clientHeight, padding: [10, 20, 0, 0], legend: { show: false },
    cursor: { sync: { key: 'serin' }, points: { size: 6 }, drag: { x: true, y: false } },
    scales: { x: { time: true }, y: { range: () => range(c) } },
    tzDate: ts => uPlot.tzDate(new Date(ts * 1e3), 'Etc/UTC'),
    series: [{}, quiet, quiet,
      { label: panel ? 'Before' : 'Control', stroke: token(panel ? '--text-3' : '--control'), width: 1.5, dash: panel ? [2, 3] : [4, 3], points: lone },
      { label: panel ? 'Now' : 'Canary', stroke: token(panel ? '--text' : '--canary'), width: 2, points: lone }],
    bands: [{ series: [2, 1], fill: token('--canary-band') }],
    axes: [{ ...axis, size: 26, space: 74, grid: { show: false }, values: (u, v) => v.map(t => (wide() ? day : hour).format(t * 1000)) },
      { ...axis, size: 58, space: 34, grid: { stroke: token('--grid'), width: 1 }, values: (u, v) => v.map(x => format(x, c.unit)) }],
    hooks: { setCursor: [u => showValues(c, u.cursor.idx)], draw: [u => drawMarks(u, c)] },
  };
}

// showValues writes the values under the cursor, else the newest of each arm.
function showValues(c, i) {
  const newest = col => { for (let k = col.length - 1; k >= 0; k--) if (col[k] != null) return col[k]; return null; };
  for (const [name, col] of [['a', c.data[4]], ['c', c.data[3]]]) {
    const el = c.figure.querySelector(`[data-v=${name}]`);
    if (el) el.textContent = format(i == null ? newest(col) : col[i], c.unit);
  }
}

function paint(c) {
  c.u?.destroy();
  c.plot.replaceChildren();
  if (!c.data[0].length) {
    const note = document.createElement('p');
    note.className = 'plot-note';
    note.textContent = c.error || 'No data in this span yet';
    c.plot.append(note);
    c.u = null;
    return;
  }
  c.u = new uPlot(options(c), c.data, c.plot);
}

async function load(c) {
  try {
    const res = await fetch(c.src, { credentials: 'same-origin' });
    if (!res.ok) throw new Error(String(res.status));
    const s = await res.json();
    const t = s.t ?? [];
    const col = name => { const v = s[name] ?? []; return t.map((_, i) => v[i] ?? null); };
    c.data = [t, col('lo'), col('hi'), col('c'), col('a')];
    c.limit = s.limit ?? null;
    c.marks = s.marks ?? [];
    c.step = t.length > 1 ? t[1] - t[0] : 60;
    c.error = '';
  } catch {
    c.error = 'The values could not be read. The table below has the last ones.';
  }
  paint(c);
}

function key(c, e) {
  if (!c.u || e.key !== 'ArrowLeft' && e.key !== 'ArrowRight') return;
  e.preventDefault();
  const t = c.data[0], n = t.length;
  const by = e.shiftKey ? Math.max(1, Math.round(5 * 3600 / c.step)) : Math.max(1, Math.round(n / 96));
  const i = Math.max(0, Math.min(n - 1, (c.u.cursor.idx ?? n - 1) + (e.key === 'ArrowRight' ? by : -by)));
  for (const other of mounted.values()) other.u?.setCursor({ left: other.u.valToPos(t[i], 'x'), top: 20 });
}

// mountCharts draws figures that are new, and forgets those that are gone.
export function mountCharts() {
  if (typeof uPlot === 'undefined') return;
  for (const figure of mounted.keys()) {
    if (!figure.isConnected) { mounted.get(figure).u?.destroy(); mounted.delete(figure); }
  }
  for (const figure of document.querySelectorAll('figure[data-chart]')) {
    const have = mounted.get(figure);
    if (have) { showValues(have, have.u?.cursor.idx); continue; }
    const plot = figure.querySelector('.plot');
    const c = { figure, plot, src: figure.dataset.src, unit: figure.dataset.unit ?? '', data: [[], [], [], [], []], marks: [], limit: null, step: 60, error: '' };
    mounted.set(figure, c);
    plot.addEventListener('keydown', e => key(c, e));
    observer?.observe(plot);
    load(c);
  }
}

// addPoint reads a chart's series again, soon: each of its values looks back
// over a share of the range on show, which the server alone can work out.
export function addPoint(p) {
  for (const c of mounted.values()) {
    if (c.figure.dataset.chart !== p.chart || c.due) continue;
    c.due = setTimeout(() => { c.due = 0; load(c); }, 2000);
  }
}

export function startCharts() {
  if (typeof uPlot === 'undefined') return;
  observer = new ResizeObserver(list => {
    for (const { target } of list) {
      for (const c of mounted.values()) {
        if (c.plot === target) c.u?.setSize({ width: Math.max(120, target.clientWidth - 12), height: target.clientHeight });
      }
    }
  });
  addEventListener('serin:theme', () => { for (const c of mounted.values()) paint(c); });
  (document.fonts ? document.fonts.load('11px Geist') : Promise.resolve()).then(mountCharts, mountCharts);
}
