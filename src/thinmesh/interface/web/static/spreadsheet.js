// Files as spreadsheets of most of Europe save them, written as the mesh takes them: commas between fields, a point
// before decimals, days as 2025-12-31, UTF-8. What is not surely so in a whole column is left as it is.
(() => {
  "use strict";
  const MOST = 64 << 20; // bytes; longer files go as they are
  const MARKS = [[";", "semicolons"], ["\t", "tabs"], ["|", "pipes"]];
  const DECIMAL = /^[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d+)?$/;
  const THOUSANDS = /^[-+]?\d{1,3}(?:\.\d{3})*$/;
  const DAY = /^(\d{1,2})\.(\d{1,2})\.(\d{4})(?: (\d{1,2}):(\d{2})(?::(\d{2}))?)?$/;
  const form = document.querySelector("[data-handing-in]");
  const input = form.querySelector("#files");
  const told = form.querySelector("[data-rewritten]");
  let done = false; // what is chosen was looked at

  // The text of a file, and whether it is in Windows' letters; nothing of what is no text, or not surely in those: a
  // file with letters in UTF-8 is one that was damaged.
  function decoded(bytes) {
    const text = new TextDecoder("utf-8").decode(bytes);
    if (text.includes("\0")) return [];
    try {
      return [new TextDecoder("utf-8", { fatal: true }).decode(bytes), false];
    } catch {
      if (/[^\0-\x7f\ufffd]/.test(text)) return [];
      return [new TextDecoder("windows-1252").decode(bytes), true]; // what Excel calls CSV without saying UTF-8
    }
  }

  function* records(text, mark) {
    const stop = mark === "|" ? "\\|" : mark;
    const one = new RegExp(`(?:"([^"]*(?:""[^"]*)*)"|([^${stop}\\r\\n]*))(${stop}|\\r\\n|\\n|\\r|$)`, "y");
    let row = [];
    while (one.lastIndex < text.length || row.length) {
      const [, quoted, plain, end] = one.exec(text);
      row.push(quoted === undefined ? { value: plain } : { value: quoted.replaceAll('""', '"'), quoted: true });
      if (end === mark) continue;
      yield row;
      row = [];
    }
  }

  function markOf(text) {
    const said = /^sep=(.)\r?\n/.exec(text);
    if (said) return [MARKS.find(([mark]) => mark === said[1]), text.slice(said[0].length)];
    const fields = (mark) => records(text, mark).next().value?.length ?? 0;
    return [MARKS.find(([mark]) => fields(mark) > fields(",")), text];
  }

  function day(value) {
    const found = DAY.exec(value);
    if (!found) return null;
    const [, date, month, year, hour, minute, second = "00"] = found;
    const real = new Date(Date.UTC(+year, month - 1, +date));
    if (real.getUTCMonth() !== month - 1 || real.getUTCDate() !== +date || +year < 1000) return null;
    const written = `${year}-${month.padStart(2, "0")}-${date.padStart(2, "0")}`;
    return hour === undefined ? written : `${written} ${hour.padStart(2, "0")}:${minute}:${second}`;
  }

  // What a column may be, by all of its values: days, numbers with a decimal comma, numbers with points in threes.
  function surveyed(text, mark) {
    const rows = records(text, mark);
    const columns = rows.next().value.map(({ value }) => ({
      name: value, filled: 0, days: true, decimal: true, comma: false, thousands: true, point: false,
    }));
    for (const row of rows) {
      row.forEach(({ value }, place) => {
        const column = columns[place];
        if (!column || !value) return;
        column.filled += 1;
        column.days &&= day(value) !== null;
        column.decimal &&= DECIMAL.test(value);
        column.thousands &&= THOUSANDS.test(value);
        column.comma ||= value.includes(",");
        column.point ||= value.includes(".");
      });
    }
    const filled = columns.filter((column) => column.filled);
    const here = filled.some((column) => column.days || (column.decimal && column.comma));
    for (const column of filled) {
      // 1.234 alone could be either; beside decimal commas or days with points it is a thousand.
      const numbers = (column.decimal && column.comma) || (column.thousands && column.point && here);
      column.as = column.days ? "day" : numbers ? "number" : "";
    }
    return columns;
  }

  function rewritten(text, mark, columns) {
    const lines = [];
    let first = true;
    for (const row of records(text, mark)) {
      const fields = row.map(({ value, quoted }, place) => {
        const as = !first && value ? columns[place]?.as : "";
        if (as === "day") return day(value);
        if (as === "number") return value.replaceAll(".", "").replace(",", ".");
        return /[",\r\n]/.test(value) || (quoted && !value) ? `"${value.replaceAll('"', '""')}"` : value;
      });
      lines.push(fields.join(","));
      first = false;
    }
    return lines.join("\n") + "\n";
  }

  function words(name, kind, columns) {
    const of = (as) => columns.filter((column) => column.as === as).map((column) => column.name).join(", ");
    const parts = [`${name} has ${kind} between its fields; it was rewritten with commas.`];
    if (of("number")) parts.push(`Numbers like 1.234,5 became 1234.5 in: ${of("number")}.`);
    if (of("day")) parts.push(`Days like 31.12.2025 became 2025-12-31 in: ${of("day")}.`);
    return parts.join(" ");
  }

  async function taken(file) {
    if (!/\.csv$/i.test(file.name) || file.size > MOST) return { file };
    const [whole, windows] = decoded(await file.arrayBuffer());
    if (whole === undefined) return { file };
    const made = (text) => new File([text], file.name, { type: "text/csv" });
    const [found, text] = markOf(whole);
    if (!found && !windows) return { file };
    if (!found) return { file: made(whole), said: `${file.name} is in Windows' letters; it was rewritten in UTF-8.` };
    const [mark, kind] = found;
    const columns = surveyed(text, mark);
    return { file: made(rewritten(text, mark, columns)), said: words(file.name, kind, columns) };
  }

  // Before anybody else hears of the files: what they hear of is what is sent.
  document.addEventListener("change", async (event) => {
    if (event.target !== input || done) return;
    event.stopImmediatePropagation();
    const given = input.files;
    const all = await Promise.all([...given].map((file) => taken(file).catch(() => ({ file }))));
    if (input.files !== given) return; // others were chosen meanwhile
    const kept = new DataTransfer();
    for (const { file } of all) kept.items.add(file);
    input.files = kept.files;
    const said = all.flatMap((each) => each.said ?? []);
    told.textContent = said.join(" ");
    told.hidden = !said.length;
    done = true;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    done = false;
  }, true);
})();
