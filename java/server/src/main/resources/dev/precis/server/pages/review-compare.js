// The view that compares two summaries. The answer to the last pair is sent while the next one is on
// the page already.

import {
  byId, closeForms, element, open, page, persist, request, say, sentenceOf, showDialogue,
} from '/review-page.js';

let loaded = false;
let tasks = []; // comparisons that wait, the one on the page first
let shownTask = null;
let shownAt = 0;
let winner = null; // of the edit form: 'first' or 'second'
let picking = false; // the next choice opens the edit form
let saving = Promise.resolve();
const inFlight = new Set(); // answered and not yet acknowledged

function showProgress(progress) {
  byId('progress-line').hidden = page.view !== 'compare';
  byId('progress').max = Math.max(1, progress.need);
  byId('progress').value = progress.have;
  const pace = progress.per_hour > 0 ? `, ${progress.per_hour} an hour` : '';
  byId('progress-text').textContent = `${progress.done} answered by you${pace}; ${progress.have} of ${progress.need} in all`;
}

function take(answer) {
  loaded = true;
  tasks = answer.tasks.filter((each) => !inFlight.has(each.id));
  showProgress(answer.progress);
  showTask();
}

function showTask() {
  const task = tasks[0] ?? null;
  byId('compare').hidden = page.view !== 'compare' || task === null;
  if (task === null) {
    shownTask = null;
    if (inFlight.size === 0) {
      say('There is nothing more to compare. Thank you!');
    }
    return;
  }
  if (task.id === shownTask) {
    return;
  }
  shownTask = task.id;
  shownAt = performance.now();
  closeForms();
  setPicking(false);
  byId('first').textContent = task.first;
  byId('second').textContent = task.second;
  showDialogue(byId('dialogue'), task.turns);
  document.querySelectorAll('#confidence input').forEach((each) => {
    each.checked = false;
  });
  document.querySelectorAll('#axes select').forEach((each) => {
    each.value = '';
  });
  byId('dialogue-title').focus({ preventScroll: true });
  scrollTo(0, 0);
  if (performance.getEntriesByName('answered').length > 0) {
    performance.measure('next', 'answered');
    performance.clearMarks('answered');
  }
}

export function setPicking(on) {
  picking = on;
  byId('edit-winner').setAttribute('aria-pressed', String(on));
}

function ratings() {
  const given = { first: {}, second: {} };
  document.querySelectorAll('#axes select').forEach((each) => {
    if (each.value) {
      given[each.dataset.place][each.dataset.axis] = Number(each.value);
    }
  });
  return given;
}

const SAID = {
  first: 'The first one is better.',
  second: 'The second one is better.',
  tie: 'A tie.',
  both_bad: 'Both are bad.',
  skip: 'Skipped.',
};

function choose(preference, more = {}) {
  const task = tasks.shift();
  if (!task) {
    return;
  }
  const confidence = document.querySelector('#confidence input:checked')?.value;
  const body = {
    task: task.id,
    preference,
    ratings: ratings(),
    seconds: Math.round(performance.now() - shownAt) / 1000,
    ...(confidence && { confidence: Number(confidence) }),
    ...more,
  };
  inFlight.add(task.id);
  performance.clearMarks('answered');
  performance.mark('answered');
  showTask();
  saving = saving.then(() => save(task, body));
}

async function save(task, body) {
  try {
    const answer = await persist('choices', body);
    inFlight.delete(task.id);
    say(`${SAID[body.preference]} Saved.`);
    take(answer);
  } catch (error) {
    inFlight.delete(task.id);
    say(sentenceOf(error), true);
    tasks.unshift(task);
    if (error.status === 409) {
      await loadTasks();
    }
    showTask();
  }
}

async function loadTasks() {
  try {
    take(await request('next'));
  } catch (error) {
    say(sentenceOf(error), true);
  }
}

function undo() {
  saving = saving.then(async () => {
    try {
      const answer = await request('undo', {});
      shownTask = null;
      say('Your last answer is taken back.');
      take(answer);
    } catch (error) {
      say(sentenceOf(error), true);
    }
  });
}

function chooseOrEdit(place) {
  if (!picking) {
    choose(place);
    return;
  }
  winner = place;
  byId('edit-label').textContent = `A better version of the ${place} summary`;
  open(byId('edit-form'), byId('edit'), tasks[0]?.[place] ?? '');
}

export const KEYS = {
  f: () => chooseOrEdit('first'),
  j: () => chooseOrEdit('second'),
  t: () => choose('tie'),
  b: () => choose('both_bad'),
  s: () => open(byId('reason-form'), byId('reason'), ''),
  e: () => {
    setPicking(!picking);
    say(picking ? 'Choose the better summary with F or J, then edit it.' : '');
  },
  u: undo,
};

function setConfidence(value) {
  document.querySelectorAll('#confidence input').forEach((each) => {
    each.checked = each.value === value; // 0: none
  });
  say(value === '0' ? 'No confidence.' : `Confidence ${value}.`);
}

export function build(session) {
  for (let value = 1; value <= 9; value++) {
    const input = element('input', '');
    Object.assign(input, { type: 'radio', name: 'confidence', value: String(value) });
    byId('confidence').append(element('label', 'choice', input, String(value)));
    KEYS[value] = () => setConfidence(String(value));
  }
  KEYS[0] = () => setConfidence('0');
  for (const axis of session.axes) {
    const row = element('tr', '', element('th', '', axis));
    for (const place of ['first', 'second']) {
      const select = element('select', '', new Option('–', ''));
      select.append(...[1, 2, 3, 4, 5, 6, 7].map((each) => new Option(each, each)));
      select.setAttribute('aria-label', `${axis}, ${place} summary`);
      Object.assign(select.dataset, { axis, place });
      row.append(element('td', '', select));
    }
    byId('axes').append(row);
  }
  byId('guidelines').textContent = session.guidelines;
  byId('guidelines-box').hidden = session.guidelines === '';
  byId('guidelines-box').open = session.guidelines !== '' && innerWidth > 800;
  byId('reason-form').addEventListener('submit', (event) => {
    event.preventDefault();
    choose('skip', { reason: byId('reason').value });
  });
  byId('edit-form').addEventListener('submit', (event) => {
    event.preventDefault();
    choose(winner, { edit: byId('edit').value });
  });
}

// Shows the view, also again after another one.
export function show() {
  shownTask = null;
  if (loaded) {
    showTask();
    return null;
  }
  byId('compare').hidden = true;
  return loadTasks();
}
