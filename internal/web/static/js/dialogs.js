// Dialogs, typed confirmation, copy buttons, theme switch and toast. All
// listeners sit on the document, so that morphed elements need none of their own.

let timer = 0;

// say shows a short message and reads it to screen readers.
export function say(text) {
  const toast = document.getElementById('toast');
  if (!toast) return;
  toast.textContent = text;
  toast.classList.add('on');
  clearTimeout(timer);
  timer = setTimeout(() => toast.classList.remove('on'), 2600);
}

// open shows the dialog of a button; false if the page has none, so that the
// link is followed to the confirm page.
function open(button) {
  const dialog = document.getElementById(button.dataset.open);
  if (!dialog || dialog.tagName !== 'DIALOG') return false;
  const item = button.dataset.item;
  const select = item !== undefined && dialog.querySelector('select[name=item]');
  if (select) {
    if (![...select.options].some(o => o.value === item)) return false;
    select.value = item;
  }
  dialog.showModal();
  confirmTyped(dialog);
  // The safe choice has the focus, so Enter never raises.
  (dialog.querySelector('.db input:not([type=hidden]), .db select') ?? dialog.querySelector('[data-close]'))?.focus();
  return true;
}

// confirmTyped enables the submit only while the asked-for name stands in the field.
function confirmTyped(root) {
  for (const input of root.querySelectorAll('[data-confirm]')) {
    const submit = input.form?.querySelector('button[type=submit]');
    if (!submit) continue;
    submit.dataset.locked ??= String(submit.disabled);
    submit.disabled = submit.dataset.locked === 'true' || input.value !== input.dataset.confirm;
  }
}

function onClick(e) {
  const target = e.target instanceof Element ? e.target : null;
  if (!target) return;
  if (target.tagName === 'DIALOG') { target.close(); return; } // the backdrop
  const button = target.closest('[data-open], [data-close], [data-copy], [data-act]');
  if (!button) return;
  if (button.hasAttribute('data-open')) {
    if (!e.metaKey && !e.ctrlKey && open(button)) e.preventDefault();
  } else if (button.hasAttribute('data-close')) {
    const dialog = button.closest('dialog');
    if (dialog) { e.preventDefault(); dialog.close(); }
  } else if (button.hasAttribute('data-copy')) {
    copy(button.closest('.cli').querySelector('code').textContent);
  } else if (button.dataset.act === 'print') {
    print();
  } else if (button.dataset.act === 'theme') {
    dispatchEvent(new Event('serin:theme-switch'));
  }
}

function copy(text) {
  if (!navigator.clipboard) { say('Select the line and copy it'); return; } // not on plain http
  navigator.clipboard.writeText(text).then(() => say('Copied'), () => say('Could not copy'));
}

// onKey keeps Enter in a field of a dialog from raising traffic.
function onKey(e) {
  const input = e.target;
  if (e.key !== 'Enter' || !(input instanceof HTMLInputElement) || !input.closest('dialog form, .ask form')) return;
  const version = input.form?.querySelector('input[name=version]');
  if (version) e.preventDefault();
}

// onSubmit keeps a second press from sending the form twice.
function onSubmit(e) {
  const form = e.target;
  if (form.dataset.sent) { e.preventDefault(); return; }
  form.dataset.sent = '1';
  setTimeout(() => delete form.dataset.sent, 4000);
}

export function startDialogs() {
  document.addEventListener('click', onClick);
  document.addEventListener('keydown', onKey);
  document.addEventListener('submit', onSubmit);
  document.addEventListener('input', e => { if (e.target.matches?.('[data-confirm]')) confirmTyped(e.target.form); });
  confirmTyped(document);
}
