// SPDX-License-Identifier: MIT
/**
 * A gateway between pages and a queue of Paddock, an example: see README.md. node:http and node-redis alone, on two connections
 * to Redis, however many look on: one for commands, and the one that paddock.js waits on for all that is followed.
 *
 * Trusts nobody who calls, and asks nobody who he is: `permit` is where a service does. Fields that cost something (limits,
 * tenant, priority) are set here, not by who calls. A viewer holds what paddock.js has read for it, and one event; who takes
 * none of it for a while is dropped, and goes on where he was when his page comes back.
 */

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createClient } from "redis";
import * as paddock from "./paddock.js";

const {
    REDIS_URL = "redis://127.0.0.1:6379", QUEUE = "default", HOST = "127.0.0.1", PORT = "8080",
    MAX_ZIP_BYTES = String(10 * 1048576), MAX_VIEWERS = "2000", SLOW_MS = "30000", HEARTBEAT_MS = "15000",
} = process.env;
const INPUT_BYTES = 65536;
const GRACE_MS = 5000; // for requests that are under way at the end
const NOT_LET_IN = /^(WRONGPASS|NOAUTH|NOPERM) /;
const FIELDS = ["entry", "source", "trace", "tabs", "live_input"]; // what who calls may choose
const TOLD = ["state", "verdict", "exit_code", "sentence", "where", "cpu_ms", "wall_ms", "memory_kb", "attempt"]; // of a job
const FILES = {
    "/": ["index.html", "text/html; charset=utf-8"], "/follow.js": ["follow.js", "text/javascript"],
    "/recording.js": ["recording.js", "text/javascript"],
};

/** An answer that is no success. */
class Answer extends Error {
    constructor(status, message, headers = {}) {
        super(message);
        Object.assign(this, { status, headers });
    }
}

/** What an error is to who calls; the first row that fits. */
const STATUSES = [
    [paddock.NoSuchJob, 404], [paddock.BadField, 400], [paddock.TooBig, 413], [paddock.Full, 429], [paddock.Refused, 409],
    [paddock.NoPool, 503],
];

const socket = REDIS_URL.startsWith("unix:") ? { socket: { path: REDIS_URL.slice(5) } } : { url: REDIS_URL };
const { REDIS_USERNAME: username, REDIS_PASSWORD: password } = process.env;
const client = createClient({ ...socket, ...(password ? { username, password } : {}), disableOfflineQueue: true });
const queue = new paddock.Queue(client, QUEUE, { patience: 3 });
const viewers = new Set();

/** Whether this request may do so to this job: here belongs your session or token. @returns {{tenant: string}} */
function permit(request, id) {
    return { tenant: "default" };
}

/** The body, if it is no larger. One that is not much larger is read to its end, for else few would read the answer. */
async function bodyOf(request, limit) {
    const tooBig = new Answer(413, `more than ${limit} bytes`, { Connection: "close" });
    if (Number(request.headers["content-length"] ?? 0) > 4 * limit) { throw tooBig; }
    const pieces = [];
    let size = 0;
    for await (const piece of request.iterator({ destroyOnReturn: false })) { // nor would they if it were torn here
        size += piece.length;
        if (size > 4 * limit) { throw tooBig; }
        if (size <= limit) { pieces.push(piece); }
    }
    if (size > limit) { throw tooBig; }
    return Buffer.concat(pieces);
}

function send(response, status, body, headers = {}) {
    response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store", ...headers });
    response.end(JSON.stringify(body) + "\n");
}

async function submit(request, response, _, query) {
    const { tenant } = permit(request);
    const fields = Object.fromEntries(query), unknown = Object.keys(fields).find((name) => !FIELDS.includes(name));
    if (unknown !== undefined) { throw new Answer(400, `${unknown}: is not for who calls; there are ${FIELDS.join(", ")}`); }
    const job = await queue.enqueue(await bodyOf(request, Number(MAX_ZIP_BYTES)), { ...fields, tenant });
    send(response, 202, job, { Location: "/jobs/" + job.id });
}

async function state(request, response, id) {
    permit(request, id);
    const [status, position] = [await queue.status(id), await queue.position(id)];
    const told = TOLD.filter((name) => name in status).map((name) => [name, status[name]]);
    send(response, 200, { id, ...Object.fromEntries(told), ...(position ?? {}) });
}

async function cancel(request, response, id) {
    permit(request, id);
    send(response, 200, { answer: await queue.cancel(id) });
}

async function input(request, response, id, query) {
    permit(request, id);
    const bytes = await bodyOf(request, INPUT_BYTES);
    send(response, 200, { answer: await queue.input(id, bytes, query.get("eof") === "1") });
}

/** Waits until who reads has taken what was written; drops him where he does not. */
async function taken(response, signal) {
    const timer = setTimeout(() => response.destroy(), Number(SLOW_MS));
    try {
        await once(response, "drain", { signal });
    } finally {
        clearTimeout(timer);
    }
}

/**
 * The job's Stream as Server-Sent Events, whose ids are the positions in it: a browser that comes back says the last one, and a
 * page that makes it come anew says it in the address.
 */
async function follow(request, response, id, query) {
    permit(request, id);
    const from = request.headers["last-event-id"] ?? query.get("from") ?? paddock.START;
    if (from === paddock.END) {
        response.writeHead(204).end(); // the browser asks no more
        return;
    }
    if (viewers.size >= Number(MAX_VIEWERS)) { throw new Answer(503, "too many look on", { "Retry-After": "5" }); }
    const gone = new AbortController(), entries = queue.follow(id, { from, signal: gone.signal });
    response.on("close", () => gone.abort());
    viewers.add(response);
    try {
        if (!await queue.exists(id)) { throw new paddock.NoSuchJob(id); }
        response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no" });
        response.write("retry: 1000\n\n");
        for await (const { position, kind, attempt, data } of entries) {
            const told = kind === "slice" ? { attempt, data: data.toString("base64") } : data;
            const isFull = !response.write(`id: ${position}\nevent: ${kind}\ndata: ${JSON.stringify(told)}\n\n`);
            if (isFull) { await taken(response, gone.signal); }
        }
        response.end();
    } finally {
        viewers.delete(response);
    }
}

async function file(request, response, path) {
    const [name, type] = FILES[path];
    const bytes = await readFile(new URL(name, import.meta.url));
    response.writeHead(200, { "Content-Type": type, "X-Content-Type-Options": "nosniff" }).end(bytes);
}

const ROUTES = [
    ["GET", /^(\/|\/follow\.js|\/recording\.js)$/, file],
    ["POST", /^\/jobs$/, submit],
    ["GET", /^\/jobs\/([^/]+)$/, state],
    ["GET", /^\/jobs\/([^/]+)\/events$/, follow],
    ["POST", /^\/jobs\/([^/]+)\/cancel$/, cancel],
    ["POST", /^\/jobs\/([^/]+)\/input$/, input],
];

/** What is asked for: a path as it stands, which may begin with slashes, or as for a proxy a whole address. */
function addressOf(request) {
    try {
        return new URL(request.url.startsWith("/") ? "http://gateway" + request.url : request.url);
    } catch {
        throw new Answer(400, "this is no address");
    }
}

async function serve(request, response) {
    const { pathname, searchParams } = addressOf(request);
    for (const [method, pattern, handle] of ROUTES) {
        const found = pattern.exec(pathname);
        if (found && method === request.method) { return handle(request, response, found[1], searchParams); }
    }
    throw new Answer(404, "there is no such thing here");
}

/** Says what went wrong, where it can still be said; where events have begun, the browser comes again. */
function refuse(response, error) {
    if (response.headersSent || response.destroyed) {
        response.destroy();
        return;
    }
    const status = error.status ?? (STATUSES.find(([type]) => error instanceof type)?.[1] ?? 503);
    const seconds = error instanceof paddock.Full ? Math.ceil(error.retryMs / 1000) : 1;
    const later = status === 429 || status === 503 ? { "Retry-After": String(seconds) } : {};
    const isOurs = error.status === undefined && !(error instanceof paddock.PaddockError); // Redis is away, or a fault
    if (isOurs && client.isReady) { console.error(error); } // else it is said already
    send(response, status, { error: isOurs ? "please try again" : error.message }, { ...later, ...error.headers });
}

const server = createServer((request, response) => {
    response.on("error", () => {});
    serve(request, response).catch((error) => refuse(response, error));
});
const heartbeat = setInterval(() => {
    for (const response of viewers) {
        if (response.headersSent && !response.writableNeedDrain) { response.write(":\n\n"); }
    }
}, Number(HEARTBEAT_MS));

/** In whatever state we are: nothing more comes in, and what is under way has a while. */
process.once("SIGTERM", () => {
    clearInterval(heartbeat);
    setTimeout(() => server.closeAllConnections(), GRACE_MS).unref();
    server.close(() => {
        client.destroy();
        process.exit(0);
    });
    for (const response of viewers) { response.destroy(); }
    server.closeIdleConnections();
});

function giveUp(what, error) {
    console.error(`${what}: ${error.message}`);
    process.exit(1);
}

server.on("error", (error) => giveUp(`http://${HOST}:${PORT}`, error));
server.listen(Number(PORT), HOST, () => console.log(`listens on http://${HOST}:${server.address().port}`));

/** Redis is tried again for as long as it is away; in vain, where it has never let us in. */
let isKnown = false, said = "";

function noteError(error) {
    if (!isKnown && NOT_LET_IN.test(error.message)) { giveUp("Redis", error); }
    const words = error.message || error.code;
    if (words !== said) { console.error(`Redis: ${words}`); }
    said = words;
}

client.on("error", noteError);
client.on("ready", () => {
    said = "";
    client.ping().then(() => { isKnown = true; }, noteError);
});
client.connect().catch(() => {}); // by an end that comes first
