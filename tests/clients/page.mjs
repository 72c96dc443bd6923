// SPDX-License-Identifier: MIT
// Follows a job as the gateway's page does, with an EventSource as browsers have it: page.mjs FOLDER GATEWAY JOB. Prints a line of
// JSON for each event, and for each answer about the job itself.
import { createRequire } from "node:module";

const [folder, gateway, job] = process.argv.slice(2);
const { EventSource } = createRequire(folder + "/")("eventsource");
const { follow } = await import(folder + "/follow.js");
const { fetch } = globalThis;

function say(line) { process.stdout.write(JSON.stringify(line) + "\n"); }

/** Addresses are the page's. */
globalThis.EventSource = class extends EventSource {
    constructor(path) { super(new URL(path, gateway), { fetch }); }
};
globalThis.fetch = async (path) => {
    const answer = await fetch(new URL(path, gateway));
    say({ asked: answer.status });
    return answer;
};

const told = ["state", "slice", "result", "gone"].map((kind) => [kind, (data) => say({ kind, data })]);
follow(job, Object.fromEntries(told));
