// Products, their tables, and the columns of those: a tree that stays quick with thousands of products.
const MOST = 250; // products shown at once
let lines = 0;

function made(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
}

/** Fill `host` (a list) with products; `choose(text, kind)` is called with what was chosen. */
export class Tree {
  constructor({ host, field, told, columnsOf, choose, written }) {
    Object.assign(this, { host, told, columnsOf, choose, written, products: new Map() });
    field.addEventListener("input", () => this.show(field.value));
    field.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") this.items()[0]?.focus();
    });
    host.addEventListener("click", (event) => this.click(event));
    host.addEventListener("keydown", (event) => this.key(event));
  }

  fill(products) {
    this.products = products;
    this.show("");
  }

  show(words) {
    const wanted = words.trim().toLowerCase();
    const found = [];
    for (const [product, tables] of this.products) {
      if (product.includes(wanted) || tables.some((table) => `${product}.${table}`.includes(wanted))) found.push([product, tables]);
    }
    this.host.replaceChildren(...found.slice(0, MOST).map(([product, tables]) => this.product(product, tables)));
    this.items()[0]?.setAttribute("tabindex", "0");
    const more = found.length - MOST;
    if (!this.products.size) this.told.textContent = "There is no table yet that you may read.";
    else if (!found.length) this.told.textContent = "No product or table is called so.";
    else this.told.textContent = more > 0 ? `${more.toLocaleString("en")} more: type a part of the name.` : "";
    if (found.length === 1) this.open(this.items()[0]);
  }

  /** Make a line of the tree, whose label is the item, beside the group of what it holds. */
  line(level, name, detail, data, more) {
    const item = made("div", { class: "tree-label", role: "treeitem", tabindex: "-1", "aria-level": level }, made("span", { class: "tree-name" }, name));
    if (detail) item.append(" ", made("span", { class: "tree-detail" }, detail));
    Object.assign(item.dataset, data);
    const line = made("li", { role: "none" }, item);
    if (more) {
      const id = `tree-${(lines += 1)}`;
      item.setAttribute("aria-expanded", "false");
      item.setAttribute("aria-owns", id);
      line.append(made("ul", { role: "group", id }));
    }
    return line;
  }

  product(product, tables) {
    return this.line(1, product, tables.length > 1 ? `${tables.length} tables` : "", { product }, true);
  }

  async open(item) {
    if (!item || item.ariaExpanded === "true") return;
    item.setAttribute("aria-expanded", "true");
    const group = item.nextElementSibling;
    const { product, table } = item.dataset;
    if (group.childElementCount) return;
    if (!table) {
      const tables = this.products.get(product);
      group.append(...tables.map((name) => this.line(2, name, "", { product, table: name }, true)));
      if (tables.length === 1) await this.open(group.querySelector("[role=treeitem]"));
      return;
    }
    const tables = await this.columnsOf(product).catch(() => ({}));
    if (group.childElementCount) return;
    group.append(...(tables[table] ?? []).map(([name, type, description]) => {
      const line = this.line(3, name, type, { column: name }, false);
      if (description) line.title = description;
      return line;
    }));
  }

  close(item) {
    item.setAttribute("aria-expanded", "false");
  }

  take(item) {
    const { product, table, column } = item.dataset;
    if (column) this.choose(this.written(column), "column");
    else if (table) this.choose(`${product}.${table}`, "table");
    else this.toggle(item);
  }

  toggle(item) {
    if (item.ariaExpanded === "true") this.close(item);
    else this.open(item);
  }

  click(event) {
    const item = event.target.closest("[role=treeitem]");
    if (!item) return;
    this.goTo(item);
    if (event.target.closest(".tree-name")) this.take(item);
    else if (item.hasAttribute("aria-expanded")) this.toggle(item);
    else this.take(item);
  }

  /** Give the items that can be seen, from top to bottom. */
  items() {
    return [...this.host.querySelectorAll("[role=treeitem]")].filter((item) => !item.closest('[aria-expanded="false"] + ul'));
  }

  goTo(item) {
    this.host.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    item.setAttribute("tabindex", "0");
    item.focus();
  }

  key(event) {
    const item = event.target.closest("[role=treeitem]");
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const items = this.items();
    const at = items.indexOf(item);
    const above = item.closest("ul[role=group]")?.previousElementSibling;
    const goals = { ArrowDown: items[at + 1], ArrowUp: items[at - 1], Home: items[0], End: items.at(-1) };
    if (event.key in goals) {
      if (goals[event.key]) this.goTo(goals[event.key]);
    } else if (event.key === "ArrowRight") {
      if (item.ariaExpanded === "false") this.open(item);
      else if (item.ariaExpanded === "true" && items[at + 1]) this.goTo(items[at + 1]);
    } else if (event.key === "ArrowLeft") {
      if (item.ariaExpanded === "true") this.close(item);
      else if (above) this.goTo(above);
    } else if (event.key === "Enter" || event.key === " ") {
      this.take(item);
    } else {
      return;
    }
    event.preventDefault();
  }
}
