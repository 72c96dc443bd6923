// SPDX-License-Identifier: MIT
// BullMQ's part of the benchmark: node bullmq.mjs NODE_FOLDER SOCKET work WORKERS | enqueue JOBS | latency JOBS. `latency`
// prints the ms from the call that adds a job to its result, one a line.
import {createRequire} from "node:module";
import {fileURLToPath} from "node:url";
import path from "node:path";

const [folder, socket, word, number] = process.argv.slice(2);
const {Queue, QueueEvents, Worker} = createRequire(path.join(folder, "x"))("bullmq");
const connection = {path: socket, maxRetriesPerRequest: null};
const here = path.dirname(fileURLToPath(import.meta.url));

async function work() {
    new Worker("bench", path.join(here, "bullmq_job.cjs"), {connection, concurrency: Number(number)});
}

async function enqueue() {
    const queue = new Queue("bench", {connection});
    for (let left = Number(number); left > 0; left -= 500) {
        await queue.addBulk(Array.from({length: Math.min(left, 500)}, () => ({name: "job", data: {}})));
    }
    await queue.close();
}

async function latency() {
    const queue = new Queue("bench", {connection});
    const events = new QueueEvents("bench", {connection});
    await events.waitUntilReady();
    for (let turn = 0; turn < Number(number); turn++) {
        const start = performance.now();
        await (await queue.add("job", {})).waitUntilFinished(events);
        console.log(performance.now() - start);
    }
    await events.close();
    await queue.close();
}

await {work, enqueue, latency}[word]();
