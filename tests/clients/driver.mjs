// SPDX-License-Identifier: MIT
// Does with deploy/clients/paddock.js what clients_test.py asks for: driver.mjs VERSION, which is a folder of node-redis. See
// driver.py.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { CLIENTS, SOCKET: path, USERNAME: username, PASSWORD: password, QUEUE, PATIENCE, RESP } = process.env;
const { Queue } = await import(CLIENTS + "/paddock.js");
const { createClient } = createRequire(import.meta.url)(process.argv[2]);

const limit = (timeout) => timeout == null ? undefined : AbortSignal.timeout(timeout * 1000);
const bytes = (text) => Buffer.from(text, "base64");
const CALLS = {
    enqueue: ({ program, fields, id }) => queue.enqueue(bytes(program), fields, id ?? undefined),
    async follow({ id, position, timeout }) {
        for await (const entry of queue.follow(id, { from: position, signal: limit(timeout) })) {
            const data = Buffer.isBuffer(entry.data) ? entry.data.toString("base64") : entry.data;
            say({ entry: { ...entry, data } });
        }
        return null;
    },
    result: ({ id, timeout }) => queue.result(id, { signal: limit(timeout) }),
    async churn({ id, times }) {
        for (let i = 0; i < times; i++) {
            const leaving = new AbortController();
            setTimeout(() => leaving.abort(), i % 9);
            try {
                for await (const entry of queue.follow(id, { signal: leaving.signal })) { void entry; }
            } catch (error) {
                if (!leaving.signal.aborted) { throw error; }
            }
        }
        return null;
    },
    cancel: ({ id }) => queue.cancel(id),
    input: ({ id, data, eof }) => queue.input(id, data && bytes(data), eof),
    exists: ({ id }) => queue.exists(id),
    status: ({ id }) => queue.status(id),
    async position({ id }) {
        const found = await queue.position(id);
        return found && { ahead: found.ahead, wait_ms: found.waitMs };
    },
};

function say(answer) { process.stdout.write(JSON.stringify(answer) + "\n"); }

const client = createClient({ socket: { path }, username, password, ...(RESP ? { RESP: Number(RESP) } : {}) });
client.on("error", () => {});
const queue = new Queue(await client.connect() ?? client, QUEUE, { patience: Number(PATIENCE) });
for await (const line of createInterface({ input: process.stdin })) {
    const { call, ...words } = JSON.parse(line);
    try {
        say({ value: await CALLS[call](words) });
    } catch (error) {
        const { name, message, reason, retryMs: retry_ms, state, field, sentence, limit } = error;
        say({ error: name, message, reason, retry_ms, state, field, sentence, limit });
    }
}
await (client.close ?? client.quit).call(client); // and nothing else keeps node
