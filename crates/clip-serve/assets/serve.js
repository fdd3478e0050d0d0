// Pages work without this: it shows what changes while a build or a training is at work, and takes
// keys for pairs that are looked at.
const LIVE_SECONDS = 5;

// Takes a part of the page at a URL in place of the same part of this one.
const renew = async (id, url) => {
  const old = document.getElementById(id);
  if (!old) return;
  const answer = await fetch(url, { credentials: "same-origin" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = page.getElementById(id);
  if (now && now.innerHTML !== old.innerHTML) old.replaceWith(document.adoptNode(now));
};

if (document.getElementById("live")) {
  setInterval(() => {
    // A server that was stopped leaves what is shown.
    if (!document.hidden) renew("live", location.href).catch(() => {});
  }, LIVE_SECONDS * 1000);
}

// Contamination.
const figures = [...document.querySelectorAll("figure.mark")];
const saved = document.getElementById("saved");
const slider = document.querySelector("#threshold input[type=range]");
let isMoved = false;
const here = () => {
  const url = new URL(location.href);
  // Until it is moved the page's own threshold counts, which may be between two steps.
  if (isMoved) url.searchParams.set("threshold", slider.value);
  return url.href;
};
let moving = 0;
const effect = () => {
  clearTimeout(moving);
  moving = setTimeout(() => renew("effect", here()).catch(() => {}), 150);
};

// One after the other, in the order of the keys.
let queue = Promise.resolve();
const mark = (figure, verdict) => {
  const before = figure.dataset.verdict;
  figure.dataset.verdict = verdict;
  const form = new URLSearchParams(new FormData(figure.querySelector("form")));
  form.set("verdict", verdict || "none");
  queue = queue.then(async () => {
    try {
      const answer = await fetch("/decide", {
        method: "POST",
        credentials: "same-origin",
        headers: { Accept: "application/json" },
        body: form,
      });
      if (!answer.ok) throw new Error(`error ${answer.status}`);
      saved.textContent = "stored";
      document.getElementById("marked").textContent = `${(await answer.json()).marks} marked`;
      effect();
    } catch (error) {
      figure.dataset.verdict = before;
      saved.textContent = `not stored: ${error.message}`;
    }
  });
};

// A key that nothing else takes goes to the first pair without a mark; it marks nothing that is not
// looked at yet.
document.addEventListener("keydown", (event) => {
  if (!figures.length || !isPairKey(event) || event.target !== document.body) return;
  (figures.find((figure) => !figure.dataset.verdict) ?? figures[0]).focus();
  event.preventDefault();
});
for (const figure of figures) {
  figure.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const verdict = event.submitter?.value ?? "none";
    mark(figure, verdict === "none" ? "" : verdict);
  });
}
takeKeys(figures, mark);

if (slider) {
  slider.addEventListener("input", () => {
    isMoved = true;
    slider.form.querySelector("output").textContent = Number(slider.value).toFixed(3);
    document.querySelector("form[action='/decide'] input[name=threshold]").value = slider.value;
    effect();
  });
}
