// The managers' view: how far the answers agree, and which candidate wins. It has the candidates'
// names, so the server sends it to managers alone.

import { byId, element, page, request, say, sentenceOf } from '/review-page.js';

const PAUSE = 5000; // milliseconds between two looks at the server

let shown = '';
let timer = null;

const number = (value, digits = 3) => (value === null ? '–' : value.toFixed(digits));
const interval = (each) => `${number(each.low)} to ${number(each.high)}`;
const share = (part, all) => (all === 0 ? '–' : `${part} of ${all}`);

// Fills a table: the first cell of each row names it.
function fill(id, rows) {
  byId(id).replaceChildren(
    ...rows.map(([name, ...cells]) => {
      const head = element('th', '', name);
      head.scope = 'row';
      return element('tr', '', head, ...cells.map((each) => element('td', '', String(each))));
    }),
  );
}

function agreementRows(report) {
  const rows = report.cohen_kappa.map((each) => [
    `Cohen's kappa, ${each.annotators.join(' and ')}`,
    number(each.kappa),
    '–',
    each.pairs,
  ]);
  rows.push(["Fleiss' kappa", number(report.fleiss_kappa), '–', '–']);
  if (report.alpha) {
    rows.push([
      "Krippendorff's alpha",
      number(report.alpha.value),
      interval(report.alpha),
      '–',
    ]);
  }
  return rows;
}

function render(report) {
  const { progress, position } = report;
  byId('counts').textContent = `${report.answers} answers, ${report.skipped} pairs skipped; ${progress.have} of ${progress.need} answers that the project needs.`;
  byId('position').textContent = `The first place won ${position.first} of ${position.decided} times (p = ${number(position.p_value)}, exact binomial test).`;
  byId('no-overlap').hidden = Boolean(report.alpha);
  fill('agreement-rows', agreementRows(report));
  fill(
    'ranking-rows',
    report.ranking.map((each) => [
      each.candidate,
      number(each.strength),
      interval(each),
      each.wins,
      each.losses,
      each.ties,
    ]),
  );
  fill(
    'annotator-rows',
    report.annotators.map((each) => [
      each.name,
      each.answers,
      each.skipped,
      number(each.median_seconds, 1),
      share(each.consistent, each.repeats),
      share(each.gold_right, each.gold),
    ]),
  );
}

async function refresh() {
  clearTimeout(timer);
  try {
    const report = await request('agreement');
    const now = JSON.stringify(report);
    if (now !== shown) {
      render(report);
      shown = now;
      say('');
    }
  } catch (error) {
    say(sentenceOf(error), true);
  }
  if (page.view === 'agreement') {
    timer = setTimeout(refresh, PAUSE);
  }
}

export const KEYS = { r: refresh };

export function build() {}

export const show = refresh;
