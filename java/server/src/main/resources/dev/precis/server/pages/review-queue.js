// The view that decides on texts that are held.

import {
  byId, closeForms, element, open, page, persist, request, say, sentenceOf, showDialogue,
} from '/review-page.js';

let texts = [];
let place = 0;

function takeTexts(answer) {
  texts = answer.texts;
  place = Math.min(place, Math.max(0, texts.length - 1));
  byId('held-place').dataset.counts = Object.entries(answer.counts)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ');
  showText();
}

function showText() {
  const text = texts[place];
  closeForms();
  byId('queue').hidden = page.view !== 'queue';
  byId('held-place').textContent = `${text ? `${place + 1} of ${texts.length}. ` : 'There is no such text. '}In all: ${byId('held-place').dataset.counts}.`;
  byId('decisions').hidden = !text;
  byId('held').textContent = text?.text ?? '';
  byId('generated-line').hidden = !text || text.text === text.generated;
  byId('generated').textContent = text?.generated ?? '';
  byId('approved-line').hidden = !text || text.approved_by.length === 0;
  byId('approved').textContent = text?.approved_by.join(', ') ?? '';
  const reasons = [...(text?.reasons ?? []), ...(text?.rejection ? [`Rejected: ${text.rejection}`] : [])];
  byId('held-reasons').replaceChildren(...reasons.map((each) => element('li', '', each)));
  showDialogue(byId('source'), text?.turns ?? []);
  if (text) {
    byId('source-title').focus({ preventScroll: true });
  }
}

async function loadTexts() {
  try {
    takeTexts(await request(`queue?state=${byId('state').value}`));
  } catch (error) {
    say(sentenceOf(error), true);
  }
}

async function decide(action, more, sentence) {
  const text = texts[place];
  if (!text) {
    return;
  }
  try {
    await persist(`queue/${action}`, { id: text.id, text: text.text, ...more });
    say(sentence);
  } catch (error) {
    say(sentenceOf(error), true);
  }
  await loadTexts();
}

function move(step) {
  place = Math.min(Math.max(0, place + step), Math.max(0, texts.length - 1));
  showText();
}

export const KEYS = {
  a: () => decide('approve', {}, 'Approved.'),
  e: () => open(byId('held-form'), byId('held-edit'), texts[place]?.text ?? ''),
  r: () => open(byId('reject-form'), byId('rejection'), ''),
  n: () => move(1),
  p: () => move(-1),
};

export function build() {
  byId('held-form').addEventListener('submit', (event) => {
    event.preventDefault();
    decide('edit', { edit: byId('held-edit').value }, 'Edited and approved.');
  });
  byId('reject-form').addEventListener('submit', (event) => {
    event.preventDefault();
    decide('reject', { reason: byId('rejection').value }, 'Rejected.');
  });
  byId('state').addEventListener('change', loadTexts);
}

export const show = loadTexts;
