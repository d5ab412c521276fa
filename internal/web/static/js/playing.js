// A form that takes long tells how far the server is while one waits. It is sent
// twice: as a stream of progress, and when that has ended as what it is, whose answer
// the server has kept.
const numbers = new Intl.NumberFormat('en-GB');

export function startPlaying() {
  for (const form of document.querySelectorAll('form[data-played]')) form.addEventListener('submit', play);
}

async function play(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector('button[type=submit]');
  if (button.disabled) return;
  button.disabled = true;
  const line = form.querySelector('.played');
  const bar = line.querySelector('progress');
  const text = line.querySelector('span');
  bar.removeAttribute('value');
  text.textContent = 'Waits for a free core';
  line.hidden = false;
  let wrong = '';
  try {
    for await (const fact of facts(form)) {
      wrong = fact.error || '';
      if (!fact.of) continue;
      bar.value = fact.played / fact.of;
      text.textContent = `${numbers.format(fact.played)} of ${numbers.format(fact.of)} runs`;
    }
  } catch { /* the form itself will say what is wrong */ }
  button.disabled = false;
  if (wrong.startsWith('the simulation did not end')) {
    bar.value = 0;
    text.textContent = wrong;
    return;
  }
  form.submit();
}

// facts are what the stream tells, one after the other.
async function* facts(form) {
  const answer = await fetch(form.action, {
    method: 'POST', headers: { Accept: 'text/event-stream' }, body: new URLSearchParams(new FormData(form)),
  });
  if (!answer.ok || !answer.headers.get('Content-Type')?.startsWith('text/event-stream')) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let left = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (left + value).split('\n\n');
    left = parts.pop();
    for (const part of parts) yield JSON.parse(part.replace(/^data: /, ''));
  }
}
