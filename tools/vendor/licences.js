// Writes the licences of all packages that esbuild put into the bundle.
const { readFileSync, readdirSync } = require("node:fs");
const { buildSync } = require("esbuild");

const { metafile } = buildSync({ entryPoints: ["codemirror.js"], bundle: true, format: "esm", write: false, metafile: true });
const folders = new Set();
for (const path of Object.keys(metafile.inputs)) {
  const found = path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)\//);
  if (found) folders.add(found[1]);
}
const texts = new Map();
for (const name of [...folders].sort()) {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`));
  const file = readdirSync(`node_modules/${name}`).find((each) => /^licen[cs]e/i.test(each));
  const text = readFileSync(`node_modules/${name}/${file}`, "utf8").trim();
  texts.set(text, [...(texts.get(text) ?? []), `${name} ${version}`]);
}
for (const [text, names] of texts) process.stdout.write(`${names.join("\n")}\n\n${text}\n\n`);
