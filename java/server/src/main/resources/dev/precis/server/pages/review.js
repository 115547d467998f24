// The review page. One view compares two summaries, the other decides on texts that are held.
// Everything that a model or a person has written goes into the page as text, never as markup.

const byId = (id) => document.getElementById(id);
const RETRIES = [300, 900, 2700]; // milliseconds before an answer is sent again

const token = readToken();
const views = { compare: null, queue: null }; // what each view does with a key; null: not offered
let view = null;

// The token stands behind the # of the address, which browsers send to nobody. It is kept for this
// tab, and taken out of the address bar, where others could read it.
function readToken() {
  const given = location.hash.slice(1);
  if (given) {
    sessionStorage.setItem('token', given);
    history.replaceState(null, '', location.pathname);
  }
  return given || sessionStorage.getItem('token') || '';
}

function say(sentence, failed = false) {
  byId('detail').textContent = sentence;
  byId('detail').classList.toggle('failed', failed);
}

class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

async function request(path, body) {
  const response = await fetch(`/v1/review/${path}`, {
    method: body ? 'POST' : 'GET',
    cache: 'no-store',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json().catch(() => null);
  if (!response.ok) {
    throw new Refusal(
      response.status,
      answer?.error?.message ?? `The server answered with status ${response.status}.`,
    );
  }
  return answer;
}

// Sends an answer, several times if need be: the server records the same answer once.
async function persist(path, body) {
  for (const pause of [...RETRIES, null]) {
    try {
      return await request(path, body);
    } catch (error) {
      const final = error instanceof Refusal && error.status !== 503;
      if (final || pause === null) {
        throw error;
      }
      say('The server does not answer; trying again.', true);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

function sentenceOf(error) {
  return error instanceof Refusal
    ? error.message
    : 'The connection to the server was lost, and your answer is not saved.';
}

function element(name, className, ...content) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...content);
  return made;
}

// Shows a dialogue: a line for each turn, with the sentences that a summary draws on marked.
function showDialogue(list, turns) {
  list.replaceChildren(
    ...turns.map((turn) => {
      const line = element('li', '');
      if (turn.speaker !== undefined) {
        const color = `speaker s${turn.number % 6}`;
        line.className = `turn s${turn.number % 6}`;
        line.append(element('span', color, turn.speaker), ': ');
      }
      turn.sentences.forEach((sentence, i) => {
        const marks = ['first', 'second'].filter((each) => sentence[each]);
        line.append(
          i > 0 ? ' ' : '',
          marks.length > 0 ? element('mark', marks.join(' '), sentence.text) : sentence.text,
        );
      });
      return line;
    }),
  );
}

// Opens a form in place of the buttons; resolves nothing: its submit event tells.
function open(form, field, text) {
  form.hidden = false;
  field.value = text;
  field.focus();
}

function closeForms() {
  document.querySelectorAll('main form').forEach((form) => {
    form.hidden = true;
  });
}

// ---------------------------------------------------------------- comparing

let tasks = []; // comparisons that wait, the one on the page first
let shownTask = null;
let shownAt = 0;
let winner = null; // of the edit form: 'first' or 'second'
let picking = false; // the next choice opens the edit form
let saving = Promise.resolve();
const inFlight = new Set(); // answered and not yet acknowledged

function showProgress(progress) {
  byId('progress-line').hidden = view !== 'compare';
  byId('progress').max = Math.max(1, progress.need);
  byId('progress').value = progress.have;
  const pace = progress.per_hour > 0 ? `, ${progress.per_hour} an hour` : '';
  byId('progress-text').textContent = `${progress.done} answered by you${pace}; ${progress.have} of ${progress.need} in all`;
}

function take(answer) {
  tasks = answer.tasks.filter((each) => !inFlight.has(each.id));
  showProgress(answer.progress);
  showTask();
}

function showTask() {
  const task = tasks[0] ?? null;
  byId('compare').hidden = view !== 'compare' || task === null;
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

function setPicking(on) {
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

const COMPARE_KEYS = {
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

function buildComparison(session) {
  for (let value = 1; value <= 9; value++) {
    const input = element('input', '');
    Object.assign(input, { type: 'radio', name: 'confidence', value: String(value) });
    byId('confidence').append(element('label', 'choice', input, String(value)));
    COMPARE_KEYS[value] = () => setConfidence(String(value));
  }
  COMPARE_KEYS[0] = () => setConfidence('0');
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

// ---------------------------------------------------------------- the queue

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
  byId('queue').hidden = view !== 'queue';
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

const QUEUE_KEYS = {
  a: () => decide('approve', {}, 'Approved.'),
  e: () => open(byId('held-form'), byId('held-edit'), texts[place]?.text ?? ''),
  r: () => open(byId('reject-form'), byId('rejection'), ''),
  n: () => move(1),
  p: () => move(-1),
};

byId('held-form').addEventListener('submit', (event) => {
  event.preventDefault();
  decide('edit', { edit: byId('held-edit').value }, 'Edited and approved.');
});
byId('reject-form').addEventListener('submit', (event) => {
  event.preventDefault();
  decide('reject', { reason: byId('rejection').value }, 'Rejected.');
});
byId('state').addEventListener('change', loadTexts);

// ---------------------------------------------------------------- both views

function show(name) {
  view = name;
  byId('show-compare').setAttribute('aria-pressed', String(name === 'compare'));
  byId('show-queue').setAttribute('aria-pressed', String(name === 'queue'));
  byId('compare').hidden = name !== 'compare';
  byId('queue').hidden = name !== 'queue';
  byId('progress-line').hidden = name !== 'compare';
  say('');
  if (name === 'compare') {
    shownTask = null;
    showTask();
  } else {
    loadTexts();
  }
}

function isTyping(target) {
  return target instanceof HTMLTextAreaElement
    || target instanceof HTMLSelectElement
    || (target instanceof HTMLInputElement && !['radio', 'checkbox'].includes(target.type));
}

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') {
    closeForms();
    setPicking(false);
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
  const action = view && byId('shortcuts').checked ? views[view][event.key.toLowerCase()] : null;
  if (action) {
    event.preventDefault();
    action();
  }
});
document.querySelectorAll('button[data-key]').forEach((button) => {
  button.addEventListener('click', () => views[view][button.dataset.key]());
});
document.querySelectorAll('button.cancel').forEach((button) => {
  button.addEventListener('click', closeForms);
});
byId('show-compare').addEventListener('click', () => show('compare'));
byId('show-queue').addEventListener('click', () => show('queue'));

async function begin() {
  const session = await request('session');
  document.title = `Précis review: ${session.reviewer}`;
  views.compare = session.compare ? COMPARE_KEYS : null;
  views.queue = session.queue ? QUEUE_KEYS : null;
  byId('views').hidden = !(session.compare && session.queue);
  if (session.compare) {
    buildComparison(session);
    view = 'compare';
    await loadTasks();
  } else {
    show('queue');
  }
}

begin().catch((error) => say(sentenceOf(error), true));
