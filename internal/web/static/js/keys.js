// Keyboard: Ctrl K palette, g r rollouts, g e errors, g p plans, g a audit log, g , settings, j k rows, ? help, and on a rollout
// p d x n which open pause, reduce, roll back and promote. Single keys never
// fire in a field or over a dialog and can be switched off.

const setting = 'serin-keys';

function enabled() {
  try { return localStorage.getItem(setting) !== 'off'; } catch { return true; }
}

function filter(palette, text) {
  let first = null;
  for (const li of palette.querySelectorAll('li')) {
    li.hidden = !li.textContent.toLowerCase().includes(text.trim().toLowerCase());
    const a = li.querySelector('a');
    a.classList.remove('sel');
    if (!li.hidden) first ??= a;
  }
  first?.classList.add('sel');
}

function move(palette, step) {
  const list = [...palette.querySelectorAll('li:not([hidden]) a')];
  if (!list.length) return;
  const i = list.findIndex(a => a.classList.contains('sel'));
  list[i]?.classList.remove('sel');
  const next = list[(i + step + list.length) % list.length];
  next.classList.add('sel');
  next.scrollIntoView({ block: 'nearest' });
}

function startPalette() {
  const palette = document.getElementById('palette');
  if (!palette) return () => {};
  const input = palette.querySelector('input');
  const show = () => { if (!palette.open) { palette.showModal(); input.value = ''; filter(palette, ''); } };
  input.addEventListener('input', () => filter(palette, input.value));
  input.addEventListener('keydown', e => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (step) { e.preventDefault(); move(palette, step); }
    if (e.key === 'Enter') { e.preventDefault(); palette.querySelector('a.sel')?.click(); }
  });
  document.addEventListener('click', e => { if (e.target.closest?.('[data-act=find]')) show(); });
  return show;
}

function row(step) {
  const list = [...document.querySelectorAll('a.main')];
  if (!list.length) return;
  const i = list.indexOf(document.activeElement);
  list[Math.max(0, Math.min(list.length - 1, i + step))].focus();
}

export function startKeys() {
  const palette = startPalette();
  const box = document.getElementById('keys-on');
  if (box) {
    box.checked = enabled();
    box.addEventListener('change', () => { try { localStorage.setItem(setting, box.checked ? 'on' : 'off'); } catch { /* this page only */ } });
  }
  let went = 0;
  addEventListener('keydown', e => {
    if ((e.metaKey || e.ctrlKey) && e.key.toLowerCase() === 'k') { e.preventDefault(); palette(); return; }
    if (e.metaKey || e.ctrlKey || e.altKey || !enabled() || document.querySelector('dialog[open]')) return;
    if (!(e.target instanceof Element) || e.target.closest('input, textarea, select, [contenteditable]')) return;
    const after = went > Date.now() - 900;
    went = 0;
    const place = { r: '/', e: '/issues', p: '/plans', a: '/audit', ',': '/settings' }[e.key];
    if (after && place) { location.href = place; return; }
    switch (e.key) {
      case 'g': went = Date.now(); return;
      case '?': document.getElementById('keys')?.showModal(); return;
      case '/': e.preventDefault(); palette(); return;
      case 'j': row(1); return;
      case 'k': row(-1); return;
    }
    if (!/^[a-z]$/.test(e.key)) return;
    const button = document.querySelector(`main .page-head [data-key="${e.key}"]`);
    if (button) { e.preventDefault(); button.click(); }
  });
}
