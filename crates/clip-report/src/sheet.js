// Marks pairs and saves them as the decision file that `clip-data contamination --decisions` reads.
const figures = [...document.querySelectorAll("figure.mark")];
const name = Object.keys(decisions.sets)[0];
const count = () => {
  const marked = figures.filter((figure) => figure.dataset.verdict).length;
  document.getElementById("count").textContent = `${marked} of ${figures.length} marked`;
};
const mark = (figure, verdict) => {
  figure.dataset.verdict = verdict;
  count();
};
for (const figure of figures) {
  for (const button of figure.querySelectorAll("button")) {
    button.onclick = () => mark(figure, figure.dataset.verdict === button.value ? "" : button.value);
  }
}
takeKeys(figures, mark);
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
