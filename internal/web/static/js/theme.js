// Runs before first paint; an external file, so that script-src 'self' is enough.
// The theme follows the system until the switch is used.
(() => {
  const key = 'serin-theme';
  let chosen = null;
  try { chosen = localStorage.getItem(key); } catch { /* storage may be off */ }
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const root = document.documentElement;
  const set = () => {
    root.dataset.theme = chosen === 'light' || chosen === 'dark' ? chosen : dark.matches ? 'dark' : 'light';
    dispatchEvent(new Event('serin:theme'));
  };
  dark.addEventListener('change', set);
  addEventListener('serin:theme-switch', () => {
    chosen = root.dataset.theme === 'dark' ? 'light' : 'dark';
    try { localStorage.setItem(key, chosen); } catch { /* lasts for this page only */ }
    set();
  });
  set();
})();
