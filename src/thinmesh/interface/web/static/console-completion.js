// What can follow where the cursor stands: products, tables, columns of the tables named in the statement, words.
import { syntaxTree } from "./codemirror.min.js";
import { functions, joining, reserved, types } from "./sql-words.js";

const MOST = 200; // names offered at once; more letters find the others
const NAMED = /\b(?:from|join)\s+(?:mesh\.)?"?(\w+)"?\."?(\w+)"?(?:\s+(?:as\s+)?"?(\w+)"?)?|,\s*(?:mesh\.)?(\w+)\.(\w+)\s+(?:as\s+)?(\w+)(?=\s*(?:,|where|join|group|order|limit|$))/gi;
const KEPT = new Set(reserved.split(" "));
const NOT_ALIAS = new Set(`${reserved} ${joining} by over`.split(" "));

const WORDS = [
  ...`${reserved} ${joining} by values over partition exists between explain recursive`.split(" ")
    .map((word) => ({ label: word.toUpperCase(), type: "keyword", boost: -20 })),
  ...functions.split(" ").map((name) => ({ label: name, apply: called, type: "function", detail: "function", boost: -40 })),
  ...types.split(" ").map((name) => ({ label: name.toUpperCase(), type: "type", detail: "type", boost: -60 })),
];

// Where a name of the author's own may follow, one letter is one of those: Enter must not make it something else.
const OWN_NAME = /(?:\)|\bas|\b(?:from|join)\s+\S+)\s+$/i;

const TABLE_NEXT = /\b(?:from|join)\s+$/i;

function called(view, completion, from, to) {
  const open = view.state.sliceDoc(to, to + 1) === "(";
  view.dispatch({ changes: { from, to, insert: completion.label + (open ? "" : "()") }, selection: { anchor: from + completion.label.length + 1 } });
}

export function written(name) {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !KEPT.has(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function tablesIn(text) {
  const found = new Map();
  for (const match of text.matchAll(NAMED)) {
    const [product, table, alias] = match[1] ? match.slice(1, 4) : match.slice(4, 7);
    const called = alias && !NOT_ALIAS.has(alias.toLowerCase()) ? alias : table;
    found.set(called.toLowerCase(), [product.toLowerCase(), table.toLowerCase()]);
  }
  return found;
}

function asColumns(columns, boost) {
  return columns.map(([name, type]) => ({ label: name, apply: written(name), type: "property", detail: type, boost }));
}

/** Make the source of completions of an editor. */
export function completions({ names, columnsOf }) {
  async function columns([product, table]) {
    const tables = await columnsOf(product).catch(() => ({}));
    return tables[table] ?? [];
  }

  async function behindDot(path, used) {
    const found = [];
    const [first, second] = path[0] === "mesh" ? path.slice(1) : path;
    if (second === undefined) {
      if (used.has(first)) found.push(...asColumns(await columns(used.get(first)), 10));
      const product = (await names()).get(first);
      for (const table of product ?? []) found.push({ label: table, type: "class", detail: "table" });
    } else {
      found.push(...asColumns(await columns([first, second]), 0));
    }
    return found;
  }

  async function anywhere(word, used, onlyTables) {
    const wanted = word.toLowerCase();
    const found = [];
    if (!onlyTables) found.push(...(await words(wanted, used)));
    let left = MOST;
    for (const [product, tables] of await names()) {
      for (const table of tables) {
        const label = `${product}.${table}`;
        if (left > 0 && label.includes(wanted)) {
          found.push({ label, type: "class", detail: "table", boost: 2 });
          left -= 1;
        }
      }
    }
    return found;
  }

  async function words(wanted, used) {
    // Of the language's own words only those that begin so: there are too many to guess.
    const found = WORDS.filter(({ label }) => label.toLowerCase().startsWith(wanted));
    const seen = new Set();
    for (const [alias, table] of used) {
      found.push({ label: alias, type: "variable", detail: table.join("."), boost: 5 });
      for (const option of asColumns(await columns(table), 20)) {
        if (!seen.has(option.label)) found.push(option);
        seen.add(option.label);
      }
    }
    return found;
  }

  return async (context) => {
    const node = syntaxTree(context.state).resolveInner(context.pos, -1);
    if (/^(String|LineComment|BlockComment)$/.test(node.name)) return null;
    const before = context.matchBefore(/[\w."]*$/);
    if (!before || (before.text === "" && !context.explicit) || /^[\d.]+$/.test(before.text)) return null;
    const path = before.text.replaceAll('"', "").toLowerCase().split(".");
    const word = path.pop();
    const line = context.state.doc.lineAt(context.pos);
    const leading = line.text.slice(0, before.from - line.from);
    if (!context.explicit && !path.length && word.length < 2 && OWN_NAME.test(leading)) return null;
    const used = tablesIn(context.state.doc.toString());
    const from = context.pos - (before.text.length - before.text.lastIndexOf(".") - 1);
    if (path.length) {
      const options = await behindDot(path, used);
      // Nothing is left to complete: the list would only be in the way.
      return options.length === 1 && options[0].label === word ? null : { from, options, validFor: /^\w*$/ };
    }
    return { from, options: await anywhere(word, used, TABLE_NEXT.test(leading)) };
  };
}
