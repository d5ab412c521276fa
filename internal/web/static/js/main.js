// Starts the behaviour of a page. Every page works as links and forms without it.
import { startDialogs } from './dialogs.js';
import { startKeys } from './keys.js';
import { startCharts } from './charts.js';
import { startPlaying } from './playing.js';
import { startLive, startClocks } from './live.js';

startDialogs();
startKeys();
startClocks();
startCharts();
startPlaying();
startLive();

// The sign-in link carries its token behind "#", which is never sent or logged.
const token = document.getElementById('token');
const given = new URLSearchParams(location.hash.slice(1)).get('token');
if (token && given) {
  token.closest('details').open = true;
  token.value = given;
  token.form.querySelector('button').focus();
  history.replaceState(null, '', location.pathname + location.search);
}

// "?done=" has said its word; a reload must not repeat it.
const here = new URL(location.href);
if (here.searchParams.has('done')) {
  here.searchParams.delete('done');
  history.replaceState(null, '', here);
}

// Keep the current tab of a rollout's pages in view on phones.
for (const nav of document.querySelectorAll('.pnav')) {
  const tab = nav.querySelector('[aria-current]');
  if (tab) nav.scrollLeft = tab.offsetLeft - (nav.clientWidth - tab.offsetWidth) / 2;
}
