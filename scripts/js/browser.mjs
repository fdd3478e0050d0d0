// Visits the pages of `clip-data serve` in a browser: wide, 390 pixels, dark, by keyboard alone, and
// without a script. Any error in the console, page that scrolls sideways, or step that fails ends it.
// node browser.mjs URL FOLDER: screenshots go to FOLDER.
import assert from "node:assert";
import { chromium } from "playwright-core";

const [url, folder] = process.argv.slice(2);
const origin = new URL(url).origin;
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

const visit = async (name, options, steps) => {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const errors = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("requestfailed", (request) => errors.push(`${request.url()}: ${request.failure().errorText}`));
  page.on("request", (request) => request.url().startsWith("http") && !request.url().startsWith(origin) && errors.push(`outside: ${request.url()}`));
  await page.goto(url);
  assert(!page.url().includes("token"), "the token stays in the URL");
  await steps(page, async (shot) => {
    await page.waitForLoadState("networkidle");
    const [wide, seen] = await page.evaluate(() => [document.scrollingElement.scrollWidth, innerWidth]);
    assert(wide <= seen, `${name} ${page.url()}: ${wide} pixels in ${seen}`);
    await page.screenshot({ path: `${folder}/${name}-${shot}.png`, fullPage: false });
  });
  assert.deepStrictEqual(errors, [], name);
  await context.close();
  console.log(`${name}: good`);
};

// The first link to each kind of page, from the first page.
const links = async (page) => {
  await page.goto(origin);
  const all = await page.$$eval("main a", (found) => found.map((a) => a.getAttribute("href")));
  const first = (start) => all.find((href) => href.startsWith(start));
  return { build: first("/build"), training: first("/training"), contamination: first("/contamination"), report: first("/page") };
};

const everything = async (page, look) => {
  const found = await links(page);
  await look("index");
  if (found.build) {
    await page.goto(origin + found.build);
    await look("build");
    await page.goto(origin + found.build.replace("/build", "/hosts"));
    await look("hosts");
    await page.goto(origin + found.build.replace("/build", "/rows"));
    await look("rows");
    await page.click("figure a");
    await look("pair");
    for (const other of ["search", "duplicates"]) {
      const tab = await page.$(`.tabs a[href^='/${other}']`);
      if (tab) {
        await tab.click();
        await page.waitForURL(`**/${other}*`);
        await look(other);
      }
    }
  }
  if (found.training) {
    await page.goto(origin + found.training);
    const choice = await page.$("select[name=with] option:nth-child(2)");
    if (choice) {
      await page.selectOption("select[name=with]", { index: 1 });
      await page.click("form button");
    }
    await look("training");
  }
  if (found.contamination) {
    await page.goto(origin + found.contamination);
    await look("contamination");
    await page.evaluate(() => document.querySelector("figure.mark")?.scrollIntoView());
    await look("contamination-pairs");
  }
};

const wide = { viewport: { width: 1280, height: 900 } };
await visit("wide", wide, everything);
await visit("390", { viewport: { width: 390, height: 844 }, isMobile: true, deviceScaleFactor: 2 }, everything);
await visit("dark", { ...wide, colorScheme: "dark" }, everything);

await visit("keyboard", wide, async (page, look) => {
  const found = await links(page);
  // What has the focus, after as many tabs as it takes.
  const reach = async (wanted) => {
    for (let tabs = 0; tabs < 200; tabs++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((wanted) => document.activeElement.matches(wanted), wanted)) return;
    }
    assert.fail(`no tab reaches ${wanted}`);
  };
  if (found.build) {
    await reach(`a[href='${found.build}']`);
    await page.keyboard.press("Enter");
    await page.waitForURL("**/build*");
    await reach("a[href^='/rows']");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/rows*");
    await reach("input[name=words]");
    await page.keyboard.type("a");
    await page.keyboard.press("Enter");
    await page.waitForURL("**words=a*");
    await reach("figure a");
    await look("rows");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/pair*");
    assert(await page.textContent("#outcome"));
  }
  if (found.contamination) {
    await page.goto(origin + found.contamination);
    // Without the focus a key goes to a pair, and marks none.
    const marked = await page.textContent("#marked");
    await page.keyboard.press("r");
    assert(await page.evaluate(() => document.activeElement.matches("figure.mark")));
    assert.strictEqual(await page.textContent("#marked"), marked);
    await page.goto(origin + found.contamination);
    await reach("figure.mark");
    const first = await page.$("figure.mark");
    const before = await first.getAttribute("data-verdict");
    const effect = await page.textContent("#effect");
    const focused = () =>
      page.evaluate(() => [...document.querySelectorAll("figure.mark")].indexOf(document.activeElement));
    // The last key takes back the mark that was just made, from the pair behind it.
    for (const [key, verdict, next] of [["r", "reject", 1], ["a", "accept", 1], ["u", "", 0], ["r", "reject", 1], ["u", "", 0]]) {
      if (key !== "u") await first.focus();
      await page.keyboard.press(key);
      await page.waitForFunction(() => document.getElementById("saved").textContent.startsWith("stored"));
      assert.strictEqual(await first.getAttribute("data-verdict"), verdict);
      assert.strictEqual(await focused(), next, `the focus after ${key}`);
      await page.evaluate(() => (document.getElementById("saved").textContent = ""));
    }
    // Down is the next row, up the one before.
    const rows = await page.$$eval("figure.mark", (all) => new Set(all.map((one) => one.offsetTop)).size);
    await page.keyboard.press("ArrowDown");
    assert.strictEqual((await focused()) > 0, rows > 1, "a row below");
    await page.keyboard.press("ArrowUp");
    assert.strictEqual(await focused(), 0);
    if (before) {
      await first.focus();
      await page.keyboard.press(before === "accept" ? "a" : "r");
      await page.waitForFunction(() => document.getElementById("saved").textContent.startsWith("stored"));
    }
    await page.focus("#threshold input[type=range]");
    // Upwards: below the threshold of the check no pair was stored.
    for (let steps = 0; steps < 8; steps++) await page.keyboard.press("ArrowRight");
    await page.waitForFunction((effect) => document.getElementById("effect").textContent !== effect, effect);
    await look("threshold");
  }
});

await visit("without-script", { ...wide, javaScriptEnabled: false }, async (page) => {
  const found = await links(page);
  if (!found.build) return;
  await page.goto(origin + found.build.replace("/build", "/rows"));
  await page.fill("input[name=words]", "a");
  await page.click("form button");
  assert((await page.$$("figure img")).length > 0, "rows without a script");
});
await browser.close();
