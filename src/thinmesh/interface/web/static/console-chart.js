// One chart of two columns, drawn as SVG.
const SVG = "http://www.w3.org/2000/svg";
const HIGH = 340;
const EDGE = { top: 16, right: 20, bottom: 52, left: 68 };
const MOST = { bar: 60, line: 2000, scatter: 5000 };
const LOOKED_AT = 200; // rows
const NUMERIC = /^(integer|double|decimal)/;
const TEMPORAL = /^(date|timestamp|timestamptz)$/;

const isNumber = (column) => NUMERIC.test(column.type);
const isTime = (column) => TEMPORAL.test(column.type);

/** Choose what a chart shows at first: the first column that varies, and the first other one with varied numbers. */
export function proposal(columns, rows) {
  const looked = rows.slice(0, LOOKED_AT);
  const varies = (number) => looked.some((row) => row[number] !== looked[0][number]);
  const all = columns.map((_, number) => number);
  const numbers = all.filter((number) => isNumber(columns[number]));
  if (!numbers.length || !rows.length) return null;
  const x = all.find((number) => varies(number) && (numbers.length > 1 || number !== numbers[0])) ?? 0;
  const others = numbers.filter((number) => number !== x);
  const y = others.find(varies) ?? others[0] ?? numbers[0];
  return { x, y, kind: isTime(columns[x]) ? "line" : isNumber(columns[x]) ? "scatter" : "bar" };
}

export function numericColumns(columns) {
  return columns.map((column, number) => [column, number]).filter(([column]) => isNumber(column));
}

function drawn(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function place(column, value, number, kind) {
  if (value === null) return NaN;
  if (kind !== "bar" && isTime(column)) {
    const text = String(value).replace(" ", "T");
    return Date.parse(column.type === "timestamp" ? `${text}Z` : text);
  }
  return kind !== "bar" && isNumber(column) ? Number(value) : number;
}

function ticks(low, high, count) {
  const rough = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((each) => each * power >= rough) * power;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(Math.abs(at) < step / 1e6 ? 0 : at);
  return found;
}

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
const written = (number) => (Math.abs(number) >= 1e4 ? short.format(number) : String(Number(number.toPrecision(6))));

function timeText(at, span) {
  const text = new Date(at).toISOString();
  if (span > 2 * 86_400_000) return text.slice(0, 10);
  return span > 120_000 ? text.slice(11, 16) : text.slice(11, 19);
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** Draw into `host`; gives a sentence about what is shown, and the points as [x, y] texts. */
export function draw(host, { columns, rows, x, y, kind }) {
  const across = columns[x];
  const up = columns[y];
  const all = [];
  rows.forEach((row, number) => {
    const value = row[y] === null ? NaN : Number(row[y]);
    const at = place(across, row[x], number, kind);
    if (Number.isFinite(value) && (kind === "bar" || Number.isFinite(at))) all.push({ at, value, label: row[x] === null ? "NULL" : String(row[x]) });
  });
  let points = all;
  if (kind === "line") points.sort((a, b) => a.at - b.at);
  if (points.length > MOST[kind]) {
    const step = points.length / MOST[kind];
    points = kind === "bar" ? points.slice(0, MOST.bar) : Array.from({ length: MOST[kind] }, (_, number) => points[Math.floor(number * step)]);
  }
  const left = rows.length - all.length;
  const notes = [];
  if (points.length < all.length) notes.push(kind === "bar" ? `the first ${points.length} of ${all.length.toLocaleString("en")} rows` : `${points.length.toLocaleString("en")} of ${all.length.toLocaleString("en")} points`);
  if (left) notes.push(`${left.toLocaleString("en")} rows without a number left out`);
  const summary = `${up.name} by ${across.name}${notes.length ? `: ${notes.join("; ")}` : ""}`;
  host.replaceChildren();
  if (points.length) host.append(picture(host, { points, across, up, kind, summary }));
  return { summary, points: points.map((point) => [point.label, String(point.value)]) };
}

function picture(host, { points, across, up, kind, summary }) {
  const wide = Math.max(host.clientWidth, 280);
  const svg = drawn("svg", { viewBox: `0 0 ${wide} ${HIGH}`, width: wide, height: HIGH, role: "img", "aria-label": `${kind} chart: ${summary}` });
  const inner = { left: EDGE.left, right: wide - EDGE.right, top: EDGE.top, bottom: HIGH - EDGE.bottom };
  let low = Infinity, high = -Infinity, first = Infinity, last = -Infinity;
  for (const { value, at } of points) {
    low = Math.min(low, value);
    high = Math.max(high, value);
    first = Math.min(first, at);
    last = Math.max(last, at);
  }
  if (kind === "bar") [low, high] = [Math.min(low, 0), Math.max(high, 0)];
  if (low === high) [low, high] = [low - 1, high + 1];
  const steps = ticks(low, high, 5);
  const step = steps[1] - steps[0] || 1;
  [low, high] = [Math.floor(low / step) * step, Math.ceil(high / step) * step];
  steps.splice(0, steps.length, ...ticks(low, high, Math.round((high - low) / step)));
  if (first === last) [first, last] = [first - 1, last + 1];
  const toY = (value) => inner.bottom - ((value - low) / (high - low)) * (inner.bottom - inner.top);
  const band = (inner.right - inner.left) / points.length;
  const toX = kind === "bar" ? (_, number) => inner.left + band * (number + 0.5) : (point) => inner.left + ((point.at - first) / (last - first)) * (inner.right - inner.left);

  for (const at of steps) {
    svg.append(drawn("line", { class: at === 0 ? "chart-zero" : "chart-line", x1: inner.left, x2: inner.right, y1: toY(at), y2: toY(at) }));
    svg.append(drawn("text", { class: "chart-text", x: inner.left - 8, y: toY(at) + 4, "text-anchor": "end" }, written(at)));
  }
  svg.append(drawn("text", { class: "chart-title", x: (inner.left + inner.right) / 2, y: HIGH - 8, "text-anchor": "middle" }, cut(across.name, 60)));
  svg.append(drawn("text", { class: "chart-title", x: -(inner.top + inner.bottom) / 2, y: 14, transform: "rotate(-90)", "text-anchor": "middle" }, cut(up.name, 40)));
  labels(svg, { points, across, kind, inner, band, toX, first, last });
  marks(svg, { points, kind, band, toX, toY });
  return svg;
}

function labels(svg, { points, across, kind, inner, band, toX, first, last }) {
  const y = inner.bottom + 20;
  const room = inner.right - inner.left;
  if (kind === "bar") {
    const every = Math.ceil(points.length / Math.max(Math.floor(room / 72), 1));
    const most = Math.min(Math.max(Math.floor((band * every) / 7.5), 3), 40);
    points.forEach((point, number) => {
      if (number % every === 0) svg.append(drawn("text", { class: "chart-text", x: toX(point, number), y, "text-anchor": "middle" }, cut(point.label, most)));
    });
    return;
  }
  const count = Math.max(Math.floor(room / 110), 2);
  const time = isTime(across);
  const steps = time ? Array.from({ length: count }, (_, number) => first + ((last - first) * number) / (count - 1)) : isNumber(across) ? ticks(first, last, count) : [];
  for (const at of steps) {
    const anchor = time && at === last ? "end" : "middle";
    svg.append(drawn("text", { class: "chart-text", x: toX({ at }), y, "text-anchor": anchor }, time ? timeText(at, last - first) : written(at)));
  }
  if (!time && !isNumber(across)) {
    for (const point of [points[0], points.at(-1)]) svg.append(drawn("text", { class: "chart-text", x: toX(point), y, "text-anchor": "middle" }, cut(point.label, 20)));
  }
}

function marks(svg, { points, kind, band, toX, toY }) {
  const named = (element, point) => {
    element.append(drawn("title", {}, `${point.label}: ${point.value.toLocaleString("en")}`));
    return element;
  };
  if (kind === "line") {
    svg.append(drawn("path", { class: "chart-path", d: points.map((point, number) => `${number ? "L" : "M"}${toX(point, number).toFixed(1)} ${toY(point.value).toFixed(1)}`).join("") }));
    if (points.length > 150) return;
  }
  points.forEach((point, number) => {
    const at = toX(point, number);
    const to = toY(point.value);
    if (kind === "bar") {
      const wide = Math.min(Math.max(band * 0.72, 1), 72);
      svg.append(named(drawn("rect", { class: "chart-bar", x: at - wide / 2, width: wide, y: Math.min(to, toY(0)), height: Math.max(Math.abs(toY(0) - to), 1), rx: 2 }), point));
    } else {
      svg.append(named(drawn("circle", { class: kind === "line" ? "chart-dot line" : "chart-dot", cx: at, cy: to, r: kind === "line" ? 2.5 : 3.5 }), point));
    }
  });
}
