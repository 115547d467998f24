// The review page: starts the views that the owner of the address may see, and sends keys to them.

import { byId, closeForms, page, request, say, sentenceOf } from '/review-page.js';
import * as compare from '/review-compare.js';
import * as queue from '/review-queue.js';

const NAMES = ['compare', 'queue', 'agreement']; // of the views' elements
const views = { compare, queue };

function show(name) {
  page.view = name;
  for (const each of NAMES) {
    byId(each).hidden = each !== name;
    byId(`show-${each}`).setAttribute('aria-pressed', String(each === name));
  }
  byId('progress-line').hidden = name !== 'compare';
  say('');
  return views[name].show();
}

function isTyping(target) {
  return target instanceof HTMLTextAreaElement
    || target instanceof HTMLSelectElement
    || (target instanceof HTMLInputElement && !['radio', 'checkbox'].includes(target.type));
}

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') {
    closeForms();
    compare.setPicking(false);
    return;
  }
  const form = event.target.closest?.('form');
  if (form && event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    form.requestSubmit();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event.target)) {
    return;
  }
  const enabled = page.view && byId('shortcuts').checked;
  const action = enabled ? views[page.view].KEYS[event.key.toLowerCase()] : null;
  if (action) {
    event.preventDefault();
    action();
  }
});
document.querySelectorAll('button[data-key]').forEach((button) => {
  button.addEventListener('click', () => views[page.view].KEYS[button.dataset.key]());
});
document.querySelectorAll('button.cancel').forEach((button) => {
  button.addEventListener('click', closeForms);
});

async function begin() {
  const session = await request('session');
  document.title = `Précis review: ${session.reviewer}`;
  const offered = NAMES.filter((each) => session[each]);
  if (session.agreement) {
    views.agreement = await import('/review-agreement.js'); // nobody else gets it
  }
  for (const each of offered) {
    byId(`show-${each}`).hidden = false;
    byId(`show-${each}`).addEventListener('click', () => show(each));
    views[each].build(session);
  }
  byId('views').hidden = offered.length < 2;
  await show(offered[0]);
}

begin().catch((error) => say(sentenceOf(error), true));
