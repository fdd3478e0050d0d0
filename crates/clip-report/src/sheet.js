// Marks pairs and saves them as the decision file that `clip-data contamination --decisions` reads.
const figures = [...document.querySelectorAll("figure.mark")];
const name = Object.keys(decisions.sets)[0];
const paint = (figure) => {
  const verdict = figure.dataset.verdict;
  figure.style.outline = { accept: "3px solid #2a8c4a", reject: "3px solid #c0392b" }[verdict] || "none";
  const marked = figures.filter((other) => other.dataset.verdict).length;
  document.getElementById("count").textContent = `${marked} of ${figures.length} marked`;
};
for (const figure of figures) {
  for (const button of figure.querySelectorAll("button")) {
    button.onclick = () => {
      const same = figure.dataset.verdict === button.textContent;
      figure.dataset.verdict = same ? "" : button.textContent;
      paint(figure);
    };
  }
  paint(figure);
}
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
