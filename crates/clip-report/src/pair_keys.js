// Keys for pairs that are looked at: `a` accepts, `r` rejects, both move to the next; `u` takes a
// mark back; arrows move. `mark` takes a figure and its verdict, "" for none.
"use strict";
const KEYS = ["a", "r", "u", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"];
const isPairKey = (event) =>
  KEYS.includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey;
const takeKeys = (figures, mark) => {
  figures.forEach((figure, at) => {
    const go = (step) => figures[at + step]?.focus();
    // In a grid: the next figure of another row that begins at the same place.
    const goRow = (step) => {
      const isThere = ({ offsetTop, offsetLeft }) =>
        offsetTop !== figure.offsetTop && offsetLeft === figure.offsetLeft;
      let to = at + step;
      while (figures[to] && !isThere(figures[to])) to += step;
      figures[to]?.focus();
    };
    const moves = {
      ArrowRight: () => go(1),
      ArrowLeft: () => go(-1),
      ArrowDown: () => goRow(1),
      ArrowUp: () => goRow(-1),
      a: () => (mark(figure, "accept"), go(1)),
      r: () => (mark(figure, "reject"), go(1)),
      // The mark of this pair, or the one that was just made.
      u: () => {
        const marked = figure.dataset.verdict ? figure : (figures[at - 1] ?? figure);
        if (marked.dataset.verdict) mark(marked, "");
        marked.focus();
      },
    };
    figure.addEventListener("keydown", (event) => {
      if (!isPairKey(event)) return;
      moves[event.key]();
      event.preventDefault();
    });
  });
};
