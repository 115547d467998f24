
"use strict";
// Examples a few at a time, of those that the search and the filter find.
for (const list of document.querySelectorAll("[data-cards]")) {
  const together = Number(list.dataset.cards);
  const cards = [...list.querySelectorAll("article")];
  const texts = cards.map((card) => card.textContent.toLowerCase());
  const bar = list.querySelector(".bar");
  const search = bar.querySelector("input");
  const filter = bar.querySelector("select");
  const [previous, next] = bar.querySelectorAll("button");
  const status = bar.querySelector("output");
  let first = 0;
  const show = (from) => {
    const wanted = search.value.trim().toLowerCase();
    const found = cards.filter((card, i) =>
      (filter.value === "" || card.dataset.tags.split(" ").includes(filter.value)) &&
      texts[i].includes(wanted));
    first = from;
    const end = Math.min(first + together, found.length);
    const shown = new Set(found.slice(first, end));
    cards.forEach((card) => { card.hidden = !shown.has(card); });
    status.value = found.length === 0 ? "No example is like that." :
      `${first + 1} to ${end} of ${found.length} ${found.length === 1 ? "example" : "examples"}`;
    previous.disabled = first === 0;
    next.disabled = end === found.length;
  };
  search.addEventListener("input", () => show(0));
  filter.addEventListener("change", () => show(0));
  previous.addEventListener("click", () => show(Math.max(0, first - together)));
  next.addEventListener("click", () => show(first + together));
  bar.hidden = false;
  show(0);
}
