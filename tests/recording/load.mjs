// SPDX-License-Identifier: MIT
// Loads files into the importers of speedscope itself, and validates those that are of its format by the schema that it
// ships: node load.mjs FOLDER FILE... FOLDER holds node_modules. Prints one JSON object per file: what the importer made
// of it. speedscope is a page, without an API: its code is run up to where it would begin to draw, and the importer taken
// out of it.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import vm from "node:vm";

const [folder, ...files] = process.argv.slice(2);
const require = createRequire(folder + "/");
const Ajv = require("ajv");
const release = folder + "/node_modules/speedscope/dist/release/";
const warnings = [];

function loadImporter() {
  const name = readdirSync(release).find((file) => /^speedscope-.*\.js$/.test(file));
  let code = readFileSync(release + name, "utf8");
  const namespace = /(\w+),\{[^}]*importProfileGroupFromText:/.exec(code)[1];
  const start = new RegExp(`var (\\w+)=Promise\\.resolve\\(\\)\\.then\\(\\(\\)=>\\((\\w+)\\(\\),${namespace}\\)\\)`);
  const found = start.exec(code);
  code = code.replace(start, `globalThis.importer=(${found[2]}(),${namespace});return;var ${found[1]}=0`);
  const warn = (...words) => warnings.push(words.join(" "));
  const node = () => ({ style: {}, appendChild() {}, setAttribute() {}, querySelector: () => null, innerHTML: "", dataset: {} });
  const document = { createElement: node, head: node(), body: node(), querySelector: () => null, currentScript: { src: "file:///x.js" } };
  const context = { console: { log() {}, warn, error: warn, assert() {} }, document, location: { hash: "", href: "file:///" },
    setTimeout, clearTimeout, TextDecoder, TextEncoder, URL, performance, navigator: { userAgent: "" }, matchMedia: () => ({ matches: false, addListener() {} }),
    requestAnimationFrame() {}, addEventListener() {}, localStorage: {}, FileReader: class {}, Blob };
  context.window = context.self = context.globalThis = context;
  vm.runInNewContext(code, context);
  return context.importer;
}

// The deepest stack of a profile, and how often a call begins.
function walk(profile) {
  let depth = 0, most = 0, calls = 0, before = 0, ordered = true;
  profile.forEachCall((_, value) => {
    ordered &&= value >= before;
    before = value;
    most = Math.max(most, ++depth);
    calls++;
  }, (_, value) => {
    ordered &&= value >= before;
    before = value;
    depth--;
  });
  return { most, calls, left: depth, ordered };
}

const importer = loadImporter();
const schema = JSON.parse(readFileSync(release + "file-format-schema.json", "utf8"));
const validate = new Ajv({ strict: false }).compile(schema);
for (const file of files) {
  warnings.length = 0;
  const text = readFileSync(file, "utf8");
  const group = await importer.importProfileGroupFromText(file, text);
  const result = { file, warnings: [...warnings], profiles: [] };
  if (file.endsWith(".speedscope")) {
    result.valid = validate(JSON.parse(text));
    result.errors = validate.errors;
  }
  for (const profile of group ? group.profiles : []) {
    const frames = [];
    profile.forEachFrame((frame) => frames.push(frame.name));
    result.profiles.push({ name: profile.getName(), weight: profile.getTotalWeight(), frames, ...walk(profile) });
  }
  console.log(JSON.stringify(result));
}
