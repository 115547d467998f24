// The playground: sends one prompt to /v1/completions and shows its tokens as they come. Everything
// that a model or a person has written goes into the page as text, never as markup.

const byId = (id) => document.getElementById(id);
const form = byId('request');
const result = byId('result');
const detail = byId('detail');
const model = byId('model');
let running = null; // the AbortController of the request

function headers() {
  const all = { 'Content-Type': 'application/json' };
  if (byId('key').value) {
    all.Authorization = `Bearer ${byId('key').value}`;
  }
  return all;
}

function say(sentence, failed = false) {
  detail.textContent = sentence;
  detail.classList.toggle('failed', failed);
}

// Returns the sentence of a response that failed.
async function sentenceOf(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `The server answered with status ${response.status}.`;
  }
}

async function loadModels() {
  const response = await fetch('/v1/models', { headers: headers() });
  byId('key-field').hidden = response.status !== 401 && !byId('key').value;
  if (!response.ok) {
    say(await sentenceOf(response), response.status !== 401);
    return;
  }
  const generators = (await response.json()).data.filter((each) => each.kind === 'generator');
  model.replaceChildren(...generators.map((each) => new Option(each.id, each.id)));
  say(generators.length === 0 ? 'This server has no model that generates text.' : '');
}

// Calls a function with each event of a stream of server-sent events.
async function eachEvent(response, take) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) {
      return;
    }
    buffer += value;
    const events = buffer.split('\n\n');
    buffer = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, '');
      if (data !== '[DONE]') {
        take(JSON.parse(data));
      }
    }
  }
}

function describe(token) {
  const percent = 100 * Math.exp(Number(token.dataset.logprob));
  return `“${token.textContent}” had a probability of ${percent.toFixed(1)} %; instead: ${token.dataset.others}.`;
}

const shown = { '\n': '↵', ' ': '␣' };

function alternativesTo(text, alternatives) {
  const others = Object.entries(alternatives ?? {}).filter(([other]) => other !== text);
  return others
    .map(([other, logprob]) => {
      const name = other.trim() === '' ? [...other].map((c) => shown[c] ?? c).join('') : other;
      return `“${name}” ${(100 * Math.exp(logprob)).toFixed(1)} %`;
    })
    .join(', ');
}

function addToken(text, logprob, alternatives) {
  const token = document.createElement('span');
  const probability = Math.exp(logprob);
  token.className = `token p${Math.min(5, Math.floor(probability * 5) + 1)}`;
  token.textContent = text;
  token.dataset.logprob = logprob;
  token.dataset.others = alternativesTo(text, alternatives);
  token.title = `${(100 * probability).toFixed(1)} %; instead: ${token.dataset.others}`;
  token.tabIndex = result.childElementCount === 0 ? 0 : -1; // one stop of the Tab key for all
  result.append(token);
}

async function generate() {
  const template = byId('template').value;
  if (!template.includes('{dialogue}')) {
    say('The template has no {dialogue}, where the text goes.', true);
    return;
  }
  running = new AbortController();
  byId('generate').disabled = true;
  byId('stop').disabled = false;
  result.replaceChildren();
  say('Generating …');
  const begin = performance.now();
  let usage = null;
  try {
    const response = await fetch('/v1/completions', {
      method: 'POST',
      headers: headers(),
      signal: running.signal,
      body: JSON.stringify({
        model: model.value,
        prompt: template.split('{dialogue}').join(byId('text').value),
        max_tokens: Number(byId('tokens').value),
        temperature: Number(byId('temperature').value),
        stream: true,
        stream_options: { include_usage: true },
        logprobs: 3,
      }),
    });
    if (!response.ok) {
      if (response.status === 401) {
        byId('key-field').hidden = false;
      }
      say(await sentenceOf(response), true);
      return;
    }
    let failure = null;
    await eachEvent(response, (event) => {
      failure = event.error?.message ?? failure;
      usage = event.usage ?? usage;
      const choice = event.choices?.[0];
      const found = choice?.logprobs;
      found?.tokens.forEach((text, i) =>
        addToken(text, found.token_logprobs[i], found.top_logprobs?.[i]),
      );
    });
    const seconds = (performance.now() - begin) / 1000;
    say(
      failure ?? `${usage?.completion_tokens ?? 0} tokens in ${seconds.toFixed(1)} s. Point at a token, or move to it with the arrow keys, for its probability.`,
      failure !== null,
    );
  } catch (error) {
    say(error.name === 'AbortError' ? 'Stopped.' : 'The connection to the server was lost.', error.name !== 'AbortError');
  } finally {
    running = null;
    byId('generate').disabled = false;
    byId('stop').disabled = true;
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!running) {
    generate();
  }
});
byId('stop').addEventListener('click', () => running?.abort());
byId('key').addEventListener('change', loadModels);
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    form.requestSubmit();
  } else if (event.key === 'Escape') {
    running?.abort();
  }
});
result.addEventListener('mouseover', (event) => {
  if (event.target.classList.contains('token') && !running) {
    say(describe(event.target));
  }
});
result.addEventListener('focusin', (event) => say(describe(event.target)));
result.addEventListener('keydown', (event) => {
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  const tokens = [...result.children];
  const next = tokens[tokens.indexOf(event.target) + (steps[event.key] ?? 0)];
  if (event.key in steps && next) {
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
});

loadModels().catch(() => say('The connection to the server was lost.', true));
