// Marks pairs and saves them as the decision file that `clip-data contamination --decisions` reads.
const figures = [...document.querySelectorAll("figure.mark")];
const name = Object.keys(decisions.sets)[0];
const count = () => {
  const marked = figures.filter((figure) => figure.dataset.verdict).length;
  document.getElementById("count").textContent = `${marked} of ${figures.length} marked`;
};
const mark = (figure, verdict) => {
  figure.dataset.verdict = figure.dataset.verdict === verdict ? "" : verdict;
  count();
};
figures.forEach((figure, at) => {
  for (const button of figure.querySelectorAll("button")) {
    button.onclick = () => mark(figure, button.value);
  }
  const go = (step) => figures[at + step]?.focus();
  const verdicts = { a: "accept", r: "reject" };
  figure.onkeydown = (event) => {
    if (event.key in verdicts && !event.ctrlKey && !event.metaKey) {
      mark(figure, verdicts[event.key]);
      go(1);
    } else if (event.key === "ArrowRight") go(1);
    else if (event.key === "ArrowLeft") go(-1);
  };
});
count();
figures[0]?.focus({ preventScroll: true });
document.getElementById("save").onclick = () => {
  const set = decisions.sets[name];
  const same = (mark, data) => mark.key === data.key && mark.id === data.id;
  const others = (set.marks || []).filter((mark) => !figures.some((figure) => same(mark, figure.dataset)));
  const seen = figures.filter((figure) => figure.dataset.verdict).map(({ dataset }) => ({
    key: dataset.key, id: dataset.id, verdict: dataset.verdict, score: Number(dataset.score),
  }));
  set.marks = others.concat(seen);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(decisions, null, 2) + "\n"]));
  link.download = "decisions.json";
  link.click();
};
