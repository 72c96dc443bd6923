// SPDX-License-Identifier: MIT
// Somebody at the gateway's page, whose own script runs on a document without a window: form.mjs FOLDER GATEWAY. A line of standard
// input is what he does, {"run": [NAME, TEXT]}, {"type": TEXT} or {"stop": true}; a line of standard output what he sees since then.
import { readFileSync, writeFileSync } from "node:fs";
import { File } from "node:buffer";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [folder, gateway] = process.argv.slice(2);
const require = createRequire(folder + "/");
const { EventSource } = require("eventsource"), { Window } = require("happy-dom");
const { fetch } = globalThis;

const page = readFileSync(folder + "/index.html", "utf-8");
const [, script] = /<script type="module">([^]*)<\/script>/.exec(page);
const { document, Event, MutationObserver } = new Window({ url: gateway });
document.body.innerHTML = page.replace(script, "");

/** Addresses are the page's. */
globalThis.document = document;
globalThis.EventSource = class extends EventSource {
    constructor(path) { super(new URL(path, gateway), { fetch }); }
};
globalThis.fetch = (path, options) => fetch(new URL(path, gateway), options);

const find = (id) => document.getElementById(id);

function submit(id) { find(id).dispatchEvent(new Event("submit", { cancelable: true })); }

const acts = {
    run([name, text]) {
        Object.defineProperty(find("file"), "files", { value: [new File([text], name)], configurable: true });
        submit("run");
    },
    type(text) {
        find("line").value = text;
        submit("type");
    },
    stop() { find("stop").click(); },
};

function see() {
    const output = [...find("output").childNodes].map((piece) => [piece.className, piece.textContent, piece.children.length]);
    const picture = { said: find("said").textContent, output, stop: !find("stop").disabled, line: !find("line").disabled };
    process.stdout.write(JSON.stringify(picture) + "\n");
}

const module = folder + "/page.mjs";
writeFileSync(module, script);
await import(module);
new MutationObserver(see).observe(document.body, { attributes: true, childList: true, characterData: true, subtree: true });
see();
for await (const line of createInterface({ input: process.stdin })) {
    for (const [act, what] of Object.entries(JSON.parse(line))) { acts[act](what); }
}
process.exit();
