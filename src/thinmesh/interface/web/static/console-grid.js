// A grid of many rows: only what is in sight exists in the document, whatever the answer's length and width.
const ROW = 30; // pixels, as in console.css
const AROUND = 6; // rows drawn beyond the edges, so that slow scrolling shows no gaps
const NARROWEST = 56;
const WIDEST = 380;
const LOOKED_AT = 300; // rows, for the width of a column
const COPIED = 200_000; // cells at once
const NUMERIC = /^(integer|double|decimal)/;

const isNumeric = (column) => NUMERIC.test(column.type);

function made(tag, attributes = {}, text) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

export function textOf(value) {
  if (value === null) return "NULL";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Write a value on one line: a screen full of it is enough, all of it can be opened. */
function onOneLine(text) {
  return text.slice(0, 400).replace(/\r?\n/g, " ↵ ").replaceAll("\t", " ⇥ ");
}

/** Show rows in `host`; `open(column, value)` is called where somebody wants to see a whole value. */
export class Grid {
  constructor(host, { columns, rows, label, open, say }) {
    Object.assign(this, { host, columns, rows, open, say });
    this.cursor = { row: 0, column: 0 };
    this.anchor = null;
    this.drawn = new Map();
    this.pending = 0;
    this.measure();
    this.build(label);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.scroller);
    this.draw();
  }

  destroy() {
    this.resized.disconnect();
    this.host.replaceChildren();
  }

  measure() {
    const pen = document.createElement("canvas").getContext("2d");
    const style = getComputedStyle(this.host);
    pen.font = `13px ${style.getPropertyValue("--mono") || "monospace"}`;
    this.pen = pen;
    this.widths = this.columns.map((_, number) => this.fitting(number));
    this.place();
    this.gutter = Math.ceil(pen.measureText(String(this.rows.length)).width) + 24;
  }

  fitting(number) {
    const { name, type } = this.columns[number];
    let longest = Math.max(name.length, type.length + 1);
    for (let row = 0; row < Math.min(this.rows.length, LOOKED_AT); row++) {
      const text = textOf(this.rows[row][number]);
      if (text.length > longest) longest = Math.min(text.length, 60);
    }
    const wide = this.pen.measureText("0".repeat(longest)).width + 26;
    return Math.min(Math.max(Math.ceil(wide), NARROWEST), WIDEST);
  }

  place() {
    let left = 0;
    this.lefts = this.widths.map((width) => (left += width) - width);
    this.wide = left;
  }

  build(label) {
    const { columns, rows } = this;
    this.grid = made("div", {
      class: "grid", role: "grid", tabindex: "0", "aria-label": label, "aria-rowcount": rows.length + 1,
      "aria-colcount": columns.length, "aria-multiselectable": "true", "aria-describedby": "grid-help",
    });
    this.scroller = this.grid;
    this.head = made("div", { class: "grid-head", role: "row", "aria-rowindex": "1" });
    this.corner = made("div", { class: "grid-corner", "aria-hidden": "true" });
    this.body = made("div", { class: "grid-body", role: "rowgroup" });
    const headGroup = made("div", { class: "grid-head-group", role: "rowgroup" });
    headGroup.append(this.head);
    this.grid.append(headGroup, this.body);
    this.body.style.height = `${rows.length * ROW}px`;
    this.grid.addEventListener("scroll", () => this.drawSoon(), { passive: true });
    this.grid.addEventListener("keydown", (event) => this.key(event));
    this.grid.addEventListener("pointerdown", (event) => this.press(event));
    this.grid.addEventListener("dblclick", (event) => event.target.closest("[role=gridcell]") && this.openCursor());
    this.grid.addEventListener("copy", (event) => this.copied(event));
    this.host.replaceChildren(this.grid);
    if (!rows.length) this.host.append(made("p", { class: "grid-none soft" }, "No rows"));
  }

  drawSoon() {
    if (!this.pending) this.pending = requestAnimationFrame(() => ((this.pending = 0), this.draw()));
  }

  /** Give the first and the last row and column in sight. */
  sight() {
    const { scrollTop, scrollLeft, clientHeight, clientWidth } = this.scroller;
    const first = Math.floor(scrollTop / ROW);
    const last = first + Math.ceil(clientHeight / ROW);
    let from = this.lefts.findIndex((left, number) => left + this.widths[number] >= scrollLeft);
    if (from < 0) from = 0;
    let to = from;
    while (to < this.columns.length - 1 && this.lefts[to + 1] < scrollLeft + clientWidth) to++;
    return { first, last, from: Math.max(from - 1, 0), to: Math.min(to + 1, this.columns.length - 1) };
  }

  draw() {
    const { first, last, from, to } = this.sight();
    const begin = Math.max(first - AROUND, 0);
    const end = Math.min(last + AROUND, this.rows.length - 1);
    const columns = `${from}-${to}-${this.wide}`;
    const range = this.range();
    if (this.columnsDrawn !== columns) {
      this.columnsDrawn = columns;
      this.drawn.forEach((row) => row.remove());
      this.drawn.clear();
      this.drawHead(from, to);
    }
    for (const [number, row] of this.drawn) {
      if (number < begin || number > end) {
        row.remove();
        this.drawn.delete(number);
      }
    }
    let before = null;
    for (let number = end; number >= begin; number--) {
      let row = this.drawn.get(number);
      if (!row) {
        row = this.drawRow(number, from, to);
        if (number === this.cursor.row || (number >= range.top && number <= range.bottom)) this.markRow(row, number, range);
        this.drawn.set(number, row);
        this.body.insertBefore(row, before);
      }
      before = row;
    }
    this.nameCursor();
  }

  drawHead(from, to) {
    const width = `${this.wide + this.gutter}px`;
    this.head.style.width = width;
    this.body.style.width = width;
    this.corner.style.width = `${this.gutter}px`;
    const cells = [this.corner];
    for (let number = from; number <= to; number++) {
      const column = this.columns[number];
      const cell = made("div", { class: "grid-title", role: "columnheader", "aria-colindex": number + 1, title: `${column.name} (${column.type})` });
      if (isNumeric(column)) cell.classList.add("number");
      this.put(cell, number);
      const name = made("span", { class: "grid-name", dir: "auto" }, column.name);
      const edge = made("span", { class: "grid-edge", "aria-hidden": "true" });
      edge.dataset.column = number;
      cell.append(name, made("span", { class: "grid-type" }, column.type), edge);
      cells.push(cell);
    }
    this.head.replaceChildren(...cells);
  }

  put(cell, number) {
    cell.style.left = `${this.lefts[number] + this.gutter}px`;
    cell.style.width = `${this.widths[number]}px`;
  }

  drawRow(number, from, to) {
    const row = made("div", { class: "grid-row", role: "row", "aria-rowindex": number + 2 });
    row.style.transform = `translateY(${number * ROW}px)`;
    const count = made("div", { class: "grid-number", "aria-hidden": "true" }, (number + 1).toLocaleString("en"));
    count.style.width = `${this.gutter}px`;
    row.append(count);
    for (let column = from; column <= to; column++) {
      const value = this.rows[number][column];
      const cell = made("div", { class: "grid-cell", role: "gridcell", id: `cell-${number}-${column}`, "aria-colindex": column + 1 });
      cell.textContent = onOneLine(textOf(value));
      if (value === null) cell.classList.add("null");
      if (isNumeric(this.columns[column])) cell.classList.add("number");
      else cell.dir = "auto";
      this.put(cell, column);
      row.append(cell);
    }
    return row;
  }

  range() {
    const { row, column } = this.cursor;
    const other = this.anchor ?? this.cursor;
    return {
      top: Math.min(row, other.row), bottom: Math.max(row, other.row),
      left: Math.min(column, other.column), right: Math.max(column, other.column),
    };
  }

  /** Show in a row what is selected of it. */
  markRow(row, number, { top, bottom, left, right }) {
    const selected = number >= top && number <= bottom;
    for (const cell of row.children) {
      const column = cell.ariaColIndex - 1;
      if (selected && column >= left && column <= right) cell.ariaSelected = "true";
      else if (cell.ariaSelected) cell.ariaSelected = null;
      if (number === this.cursor.row) cell.classList.toggle("cursor", column === this.cursor.column);
      else cell.classList.remove("cursor");
    }
  }

  showCursor() {
    const range = this.range();
    for (const [number, row] of this.drawn) this.markRow(row, number, range);
  }

  nameCursor() {
    const drawn = this.drawn.has(this.cursor.row) && document.getElementById(`cell-${this.cursor.row}-${this.cursor.column}`);
    if (drawn) this.grid.setAttribute("aria-activedescendant", drawn.id);
    else this.grid.removeAttribute("aria-activedescendant");
  }

  move(row, column, extend) {
    if (!this.rows.length) return;
    this.anchor = extend ? (this.anchor ?? { ...this.cursor }) : null;
    this.cursor = {
      row: Math.min(Math.max(row, 0), this.rows.length - 1),
      column: Math.min(Math.max(column, 0), this.columns.length - 1),
    };
    this.reveal();
    this.draw();
    this.showCursor();
  }

  reveal() {
    const { row, column } = this.cursor;
    const { scroller } = this;
    const room = scroller.clientHeight - this.head.offsetHeight;
    const top = row * ROW;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + ROW > scroller.scrollTop + room) scroller.scrollTop = top + ROW - room;
    const left = this.lefts[column];
    if (left < scroller.scrollLeft) scroller.scrollLeft = left;
    else if (left + this.widths[column] + this.gutter > scroller.scrollLeft + scroller.clientWidth) {
      scroller.scrollLeft = left + this.widths[column] + this.gutter - scroller.clientWidth;
    }
  }

  key(event) {
    const { row, column } = this.cursor;
    const far = event.ctrlKey || event.metaKey;
    const page = Math.max(Math.floor(this.scroller.clientHeight / ROW) - 2, 1);
    const bottom = this.rows.length - 1;
    const right = this.columns.length - 1;
    if (event.altKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      this.widen(column, this.widths[column] + (event.key === "ArrowRight" ? 24 : -24));
      event.preventDefault();
      return;
    }
    if (event.altKey) return;
    const goals = {
      ArrowUp: [far ? 0 : row - 1, column], ArrowDown: [far ? bottom : row + 1, column],
      ArrowLeft: [row, far ? 0 : column - 1], ArrowRight: [row, far ? right : column + 1],
      PageUp: [row - page, column], PageDown: [row + page, column],
      Home: [far ? 0 : row, 0], End: [far ? bottom : row, right],
    };
    if (goals[event.key]) this.move(...goals[event.key], event.shiftKey);
    else if (event.key === "Enter") this.openCursor();
    else if (far && event.key.toLowerCase() === "a") this.selectAll();
    else return;
    event.preventDefault();
  }

  selectAll() {
    this.cursor = { row: 0, column: 0 };
    this.anchor = { row: this.rows.length - 1, column: this.columns.length - 1 };
    this.showCursor();
  }

  press(event) {
    const edge = event.target.closest(".grid-edge");
    if (edge) return this.dragEdge(event, Number(edge.dataset.column));
    const at = (target) => {
      const cell = target?.closest?.("[role=gridcell]");
      return cell && [cell.closest("[role=row]").ariaRowIndex - 2, cell.ariaColIndex - 1];
    };
    const found = at(event.target);
    // Fingers scroll; they choose one cell only.
    if (!found || event.button) return undefined;
    this.move(...found, event.shiftKey);
    if (event.pointerType !== "mouse") return undefined;
    event.preventDefault();
    this.grid.focus({ preventScroll: true });
    const drag = (moved) => {
      const under = at(document.elementFromPoint(moved.clientX, moved.clientY));
      if (under) this.move(...under, true);
    };
    addEventListener("pointermove", drag);
    addEventListener("pointerup", () => removeEventListener("pointermove", drag), { once: true });
    return undefined;
  }

  dragEdge(event, number) {
    event.preventDefault();
    if (event.detail === 2) return this.widen(number, this.fitting(number));
    const begin = event.clientX - this.widths[number];
    const drag = (moved) => this.widen(number, moved.clientX - begin);
    addEventListener("pointermove", drag);
    addEventListener("pointerup", () => removeEventListener("pointermove", drag), { once: true });
    return undefined;
  }

  widen(number, width) {
    this.widths[number] = Math.max(width, NARROWEST);
    this.place();
    this.columnsDrawn = "";
    this.draw();
  }

  openCursor() {
    if (this.rows.length) this.open(this.columns[this.cursor.column], this.rows[this.cursor.row][this.cursor.column]);
  }

  copied(event) {
    const { top, bottom, left, right } = this.range();
    const count = (bottom - top + 1) * (right - left + 1);
    if (!this.rows.length || String(getSelection())) return;
    event.preventDefault();
    if (count > COPIED) {
      this.say(`${count.toLocaleString("en")} cells are too many to copy; download them instead`);
      return;
    }
    const lines = this.rows.slice(top, bottom + 1).map((row) => row.slice(left, right + 1).map((value) => tabular(value, count === 1)).join("\t"));
    if (count > 1 && top === 0 && bottom === this.rows.length - 1) {
      lines.unshift(this.columns.slice(left, right + 1).map((column) => tabular(column.name)).join("\t"));
    }
    event.clipboardData.setData("text/plain", lines.join("\n"));
    this.say(count === 1 ? "Copied" : `Copied ${count.toLocaleString("en")} cells`);
  }
}

function tabular(value, alone) {
  if (value === null) return "";
  const text = textOf(value);
  return !alone && /[\t\n\r"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
