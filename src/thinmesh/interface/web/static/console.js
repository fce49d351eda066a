// The console: what is typed, run, looked at, kept and shared. The pieces are modules of their own.
import { draw, numericColumns, proposal } from "./console-chart.js";
import { written } from "./console-completion.js";
import { mountEditor } from "./console-editor.js";
import { Grid, textOf } from "./console-grid.js";
import { Tree } from "./console-tree.js";

const form = document.getElementById("console");
const typed = document.getElementById("sql");
const part = (name) => document.getElementById(name);
const KEPT = "console.sql";
const LONGEST_LINK = 6000; // characters: proxies take 8 kB of address

const say = (text) => document.dispatchEvent(new CustomEvent("pages:say", { detail: text }));
const count = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

// Asking the server --------------------------------------------------------------------------------------------------

class Refusal extends Error {
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/** Send a request; whoever has to sign in again does so, and the request goes again. */
async function ask(address, { body, signal } = {}) {
  const options = body ? { method: "POST", body: new URLSearchParams(body), signal } : { signal };
  const reply = await fetch(address, options);
  if (reply.status === 401 && (await signedInAgain(signal))) return ask(address, { body, signal });
  if (!reply.ok) throw new Refusal(await reply.json().catch(() => ({ title: `The server answered ${reply.status}`, detail: "", help: "Try again." })));
  return reply.json();
}

let asked = null;
function signedInAgain(signal) {
  asked ??= new Promise((resolve) => {
    const done = (in_) => ((asked = null), resolve(in_));
    signal?.addEventListener("abort", () => done(false), { once: true });
    document.dispatchEvent(new CustomEvent("pages:session-ended", { detail: done }));
  });
  return asked;
}

let known = null;
/** Give the tables that may be read: a map of products to lists of tables. */
function names() {
  known ??= ask("/query/tables").then(({ products }) => new Map(products), (error) => ((known = null), Promise.reject(error)));
  return known;
}

const described = new Map();
function columnsOf(product) {
  if (!described.has(product)) {
    const coming = ask(`/query/tables/${encodeURIComponent(product)}`).then(({ tables }) => tables);
    coming.catch(() => described.delete(product));
    described.set(product, coming);
  }
  return described.get(product);
}

// The editor ---------------------------------------------------------------------------------------------------------

/** Give what this user typed in this tab; what somebody else did, who was signed in before, is none of theirs. */
function kept() {
  try {
    const { user, text } = JSON.parse(sessionStorage.getItem(KEPT));
    return user === form.dataset.user ? text : null;
  } catch {
    return null;
  }
}

function keep(text) {
  typed.value = text;
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ user: form.dataset.user, text }));
  } catch {
    // A browser that keeps nothing: the editor works all the same.
  }
}

const linked = typed.value.trim() ? typed.value : null;
const before = kept();
const editor = mountEditor(part("editor"), {
  text: before ?? linked ?? "",
  label: "Statement",
  hint: "SELECT … FROM product.table",
  changed: keep,
  run,
  names: () => names().catch(() => new Map()),
  columnsOf,
});
typed.hidden = true;
part("editor").hidden = false;
if (before !== null && linked !== null && before !== linked) {
  // What was here stays one step of undoing away.
  editor.replace(linked);
  if (before.trim()) say("Your earlier statement is back with undo");
}
keep(editor.text());
if (location.search) history.replaceState(null, "", "/query");

// Running ------------------------------------------------------------------------------------------------------------

let running = null;
let shown = null;

function drawId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function run() {
  if (running) return;
  const chosen = editor.chosen();
  if (!chosen.text.trim()) {
    say("Type a statement first");
    editor.focus();
    return;
  }
  const id = drawId();
  const stop = new AbortController();
  const begun = performance.now();
  running = { id, stop };
  editor.unmark();
  busy(true);
  const clock = setInterval(() => status(`Running for ${((performance.now() - begun) / 1000).toFixed(0)} s`), 1000);
  try {
    const answer = await ask("/query/run", { body: { sql: chosen.text, id }, signal: stop.signal });
    show(answer, performance.now() - begun);
  } catch (error) {
    fail(error, chosen);
  } finally {
    clearInterval(clock);
    running = null;
    busy(false);
    if (!part("side-history").hidden) listHistory();
  }
}

async function cancel() {
  if (!running) return;
  const { id, stop } = running;
  status("Cancelling");
  try {
    await ask("/query/cancel", { body: { id } });
  } catch {
    stop.abort();
  }
}

function busy(is) {
  part("run").disabled = is;
  part("cancel").hidden = !is;
  part("results").setAttribute("aria-busy", is);
  if (is) status("Running");
}

function status(text) {
  part("status").textContent = text;
}

function panel(name) {
  for (const each of ["results-empty", "results-fault", "results-shown"]) part(each).hidden = each !== name;
}

function show(answer, milliseconds) {
  panel("results-shown");
  const { columns, rows, truncated } = answer;
  const took = milliseconds < 995 ? `${Math.max(Math.round(milliseconds), 1)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
  status(`${truncated ? "First " : ""}${count(rows.length, "row")}, ${count(columns.length, "column")} in ${took}${truncated ? "; the download has all" : ""}`);
  shown?.grid.destroy();
  shown = { columns, rows, chart: proposal(columns, rows) };
  shown.grid = new Grid(part("grid"), { columns, rows, label: "Rows of the answer", open: openValue, say });
  part("chart-tab").disabled = !shown.chart;
  if (part("chart-tab").disabled) choose(part("rows-tab"));
  fillChart();
}

function fail(error, chosen) {
  const cancelled = error.name === "AbortError" || error.problem?.code === "conflict";
  if (cancelled) {
    // Rows on the page are of a statement before, and say nothing of this one.
    status(part("results-shown").hidden ? "Cancelled" : "Cancelled; these are the rows from before");
    return;
  }
  panel("results-fault");
  const problem = wordedFor(error.problem) ?? { title: "The answer broke off", detail: "The connection ended before the answer did.", help: "Run it again; history tells how it ended." };
  part("fault-title").textContent = problem.title;
  part("fault-detail").textContent = problem.detail.replace(/ \(line \d+\)$/, "");
  part("fault-help").textContent = problem.help;
  status("");
  // A closed product's refusal names the command; here there is a page for it.
  const closed = /thinmesh request ([a-z0-9_]+)/.exec(problem.help);
  part("fault-request").hidden = !closed;
  if (closed) part("fault-request").href = `/requests/new?product=${closed[1]}`;
  const place = problem.violations?.[0]?.examples?.[0];
  const where = part("fault-place");
  where.hidden = !place?.position;
  if (where.hidden) return;
  const from = chosen.from + offsetOf(chosen.text, place.line, place.position);
  editor.mark(from, problem.violations[0].message.replace(/^at /, "").length);
  where.textContent = `Line ${editor.text().slice(0, from).split("\n").length}, character ${from - editor.text().lastIndexOf("\n", from - 1)}`;
  where.onclick = () => editor.goTo(from);
}

/** What a problem document says to scripts, said to a person at this page. */
function wordedFor(problem) {
  if (problem?.code !== "not_signed_in") return problem;
  return { title: "Your session has ended", detail: "", help: "Run it again and sign in; the statement stays where it is." };
}

/** Give the offset, in UTF-16 units, of the n-th character (code point) of a line. */
function offsetOf(text, line, position) {
  const lines = text.split("\n");
  const begin = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
  return begin + [...(lines[line - 1] ?? "")].slice(0, position - 1).join("").length;
}

function openValue(column, value) {
  part("value-title").textContent = column.name;
  part("value-type").textContent = column.type;
  let text = textOf(value);
  if (column.type === "json" && value !== null) {
    try {
      text = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // It stays as it came.
    }
  }
  part("value-text").textContent = text;
  part("value").showModal();
}

// The chart ----------------------------------------------------------------------------------------------------------

function fillChart() {
  if (!shown.chart) return;
  const option = ([column, number], chosen) => new Option(column.name, number, false, number === chosen);
  part("chart-x").replaceChildren(...shown.columns.map((column, number) => option([column, number], shown.chart.x)));
  part("chart-y").replaceChildren(...numericColumns(shown.columns).map((pair) => option(pair, shown.chart.y)));
  part("chart-kind").value = shown.chart.kind;
  drawChart();
}

function drawChart() {
  if (!shown?.chart || part("chart-panel").hidden) return;
  const chart = { x: Number(part("chart-x").value), y: Number(part("chart-y").value), kind: part("chart-kind").value };
  Object.assign(shown.chart, chart);
  const { summary, points } = draw(part("chart"), { ...shown, ...chart });
  part("chart-summary").textContent = summary;
  const rows = points.slice(0, 100).map((point) => {
    const row = document.createElement("tr");
    row.append(...point.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  });
  part("chart-points-x").textContent = shown.columns[chart.x].name;
  part("chart-points-y").textContent = shown.columns[chart.y].name;
  part("chart-points").replaceChildren(...rows);
}

for (const name of ["chart-x", "chart-y", "chart-kind"]) part(name).addEventListener("change", drawChart);
new ResizeObserver(() => requestAnimationFrame(drawChart)).observe(part("chart-panel"));

// Tabs ---------------------------------------------------------------------------------------------------------------

function choose(tab) {
  for (const each of tab.parentElement.querySelectorAll("[role=tab]")) {
    const is = each === tab;
    each.setAttribute("aria-selected", is);
    each.tabIndex = is ? 0 : -1;
    part(each.getAttribute("aria-controls")).hidden = !is;
  }
  if (tab.id === "history-tab") listHistory();
  if (tab.id === "chart-tab") drawChart();
}

for (const list of document.querySelectorAll("[role=tablist]")) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  list.addEventListener("click", (event) => tabs.includes(event.target) && choose(event.target));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const open = tabs.filter((tab) => !tab.disabled);
    const next = open[(open.indexOf(event.target) + step + open.length) % open.length];
    choose(next);
    next.focus();
    event.preventDefault();
  });
}

// The sides: tables and history --------------------------------------------------------------------------------------

const tree = new Tree({
  host: part("tree"),
  field: part("tree-filter"),
  told: part("tree-told"),
  columnsOf,
  written,
  choose(text, kind) {
    if (kind === "table" && !editor.text().trim()) editor.replace(`SELECT *\nFROM ${text}\nLIMIT 100`);
    else editor.insert(text);
  },
});
names().then(
  (products) => tree.fill(products),
  () => (part("tree-told").textContent = "The tables could not be listed; reload the page to try again."),
);

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
function ago(text) {
  const seconds = (Date.parse(text) - Date.now()) / 1000;
  for (const [size, unit] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) {
    if (-seconds >= size) return relative.format(Math.round(seconds / size), unit);
  }
  return "just now";
}

async function listHistory() {
  const told = part("history-told");
  try {
    const { statements } = await ask("/query/history");
    told.textContent = statements.length ? "" : "What you run appears here.";
    part("history").replaceChildren(...statements.map(remembered));
  } catch {
    told.textContent = "The history could not be read.";
  }
}

function remembered(statement) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "past";
  const text = Object.assign(document.createElement("code"), { className: "past-sql", textContent: statement.sql.trim().slice(0, 400) });
  const how = { done: count(statement.rows, "row"), running: "running" }[statement.state] ?? statement.state;
  const meta = Object.assign(document.createElement("span"), { className: "past-meta", textContent: `${ago(statement.started)}, ${how}` });
  if (statement.state === "failed") meta.classList.add("bad");
  button.append(text, meta);
  button.title = statement.sql.slice(0, 2000);
  button.addEventListener("click", () => editor.replace(statement.sql));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

// Buttons and keys ---------------------------------------------------------------------------------------------------

async function share() {
  const link = `${location.origin}/query?${new URLSearchParams({ sql: editor.text() })}`;
  if (link.length > LONGEST_LINK) {
    say("The statement is too long for a link; send its text");
    return;
  }
  try {
    await navigator.clipboard.writeText(link);
    say("Link copied. It opens the statement and does not run it");
  } catch {
    part("share-link").value = link;
    part("share-dialog").showModal();
    part("share-link").select();
  }
}

form.addEventListener("submit", (event) => {
  if (event.submitter?.name !== "format") {
    event.preventDefault();
    run();
    return;
  }
  const chosen = editor.chosen().text;
  if (!chosen.trim()) {
    event.preventDefault();
    say("Type a statement first");
    return;
  }
  typed.value = chosen;
  event.submitter.closest("details").open = false;
  setTimeout(() => (typed.value = editor.text()));
});
part("cancel").addEventListener("click", cancel);
part("share").addEventListener("click", share);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running && !event.defaultPrevented && !document.querySelector("dialog[open]")) cancel();
});

for (const each of document.querySelectorAll("[data-scripted]")) each.hidden = false;
const narrow = matchMedia("(max-width: 52rem)");
const fold = () => (part("sides").open = !narrow.matches);
narrow.addEventListener("change", fold);
fold();
