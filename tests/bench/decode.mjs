// SPDX-License-Identifier: MIT
// Reads a recording with deploy/clients/recording.js, or one of lines with JSON.parse, as slices of 256 KB come:
// node decode.mjs FILE. Prints how many events it tells, and the seconds that it took.
import { readFileSync } from "node:fs";
import { Trace } from "../../deploy/clients/recording.js";

const SLICE = 1 << 18;
const bytes = readFileSync(process.argv[2]);
let events = 0;

function decode() {
    const trace = new Trace();
    for (let at = 0; at < bytes.length; at += SLICE) {
        for (const _ of trace.push(bytes.subarray(at, at + SLICE))) { events++; }
    }
    for (const _ of trace.finish()) { events++; }
}

function split() {
    let rest = "";
    const decoder = new TextDecoder();
    for (let at = 0; at < bytes.length; at += SLICE) {
        const lines = (rest + decoder.decode(bytes.subarray(at, at + SLICE), { stream: true })).split("\n");
        rest = lines.pop();
        for (const line of lines) { events += JSON.parse(line).kind !== undefined; }
    }
}

const start = process.hrtime.bigint();
(bytes[0] === 0x7b ? split : decode)();
console.log(events, Number(process.hrtime.bigint() - start) / 1e9);
