"use strict";
(() => {
  const items = JSON.parse(document.getElementById("items").textContent);
  const form = document.getElementById("filters");
  const grid = document.getElementById("grid");
  const more = document.getElementById("more");
  const PAGE = 60;
  // A list has no images; room for them would be in the way.
  const images = items.some((item) => item.image);
  let found = [];
  let shown = 0;

  for (const item of items) {
    item.text = [item.caption, item.url, item.uid, item.key, ...item.queries].join("\n").toLowerCase();
  }

  // A filter that would have one choice only is of no use.
  const NAMES = ["language", "host", "status", "overlap"];
  for (const name of NAMES) {
    const counts = new Map();
    for (const item of items) counts.set(item[name], (counts.get(item[name]) || 0) + 1);
    const select = form.elements[name];
    if (counts.size < 2) {
      select.hidden = true;
      continue;
    }
    select.append(new Option(`any ${select.getAttribute("aria-label")}`, ""));
    for (const [value, count] of [...counts].sort((a, b) => b[1] - a[1]).slice(0, 200)) {
      if (value) select.append(new Option(`${value} (${count})`, value));
    }
  }

  function element(name, className, text) {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text) node.textContent = text;
    return node;
  }

  function figure(item) {
    const node = element("figure");
    if (item.image) {
      const image = element("img");
      image.src = item.image;
      image.alt = item.caption || "";
      image.loading = "lazy";
      node.append(image);
    } else if (images) {
      node.append(element("div", "none", item.status || "no image"));
    }
    const about = element("figcaption");
    const caption = element("div", "caption", item.caption);
    caption.title = item.caption || "";
    about.append(caption);
    const facts = [item.width ? `${item.width} x ${item.height}` : "", item.language, item.source];
    about.append(element("div", "", facts.filter(Boolean).join(" · ")));
    if (item.queries.length) about.append(element("div", "", item.queries.join(", ")));
    if (item.overlap) about.append(element("div", "mark", `copy of ${item.overlap}`));
    const known = /^https?:/.test(item.url);
    const link = element(known ? "a" : "div", "", item.host || item.key);
    if (known) {
      link.href = item.url;
      link.rel = "noreferrer";
    }
    link.title = item.uid || item.key;
    about.append(link);
    node.append(about);
    return node;
  }

  function page() {
    grid.append(...found.slice(shown, shown + PAGE).map(figure));
    shown = Math.min(shown + PAGE, found.length);
    more.hidden = shown >= found.length;
  }

  function filter() {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const side = Number(form.elements.side.value) || 0;
    const chosen = NAMES.filter((name) => form.elements[name].value);
    found = items.filter((item) =>
      words.every((word) => item.text.includes(word)) &&
      chosen.every((name) => item[name] === form.elements[name].value) &&
      Math.min(item.width, item.height) >= side);
    const order = form.elements.order.value;
    if (order === "long") found.sort((a, b) => (b.caption || "").length - (a.caption || "").length);
    if (order === "large") found.sort((a, b) => b.width * b.height - a.width * a.height);
    document.getElementById("count").textContent = `${found.length} of ${items.length}`;
    document.getElementById("none").hidden = found.length > 0;
    grid.replaceChildren();
    shown = 0;
    page();
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", page);
  filter();
})();
