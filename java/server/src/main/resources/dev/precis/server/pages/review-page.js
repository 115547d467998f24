// What all views of the review page share: requests, and elements of the page. Everything that a
// model or a person has written goes into the page as text, never as markup.

export const byId = (id) => document.getElementById(id);
export const page = { view: null }; // the name of the view that is shown
const RETRIES = [300, 900, 2700]; // milliseconds before an answer is sent again

const token = readToken();

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

export function say(sentence, failed = false) {
  byId('detail').textContent = sentence;
  byId('detail').classList.toggle('failed', failed);
}

class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

export async function request(path, body) {
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
export async function persist(path, body) {
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

export function sentenceOf(error) {
  return error instanceof Refusal
    ? error.message
    : 'The connection to the server was lost, and your answer is not saved.';
}

export function element(name, className, ...content) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...content);
  return made;
}

// Shows a dialogue: a line for each turn, with the sentences that a summary draws on marked.
export function showDialogue(list, turns) {
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
export function open(form, field, text) {
  form.hidden = false;
  field.value = text;
  field.focus();
}

// A field that is hidden would get the keys until the next frame.
export function closeForms() {
  document.querySelectorAll('main form').forEach((form) => {
    if (form.contains(document.activeElement)) {
      document.activeElement.blur();
    }
    form.hidden = true;
  });
}
