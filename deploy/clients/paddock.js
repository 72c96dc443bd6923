// SPDX-License-Identifier: MIT
/**
 * A client of Paddock for a backend (docs/PROTOCOL.md). Node 18 or later, and node-redis 4, 5 or 6 (npm's `redis`); nothing
 * else, but of node before 22 to be known as a module: by package.json, or as paddock.mjs.
 *
 *     const client = createClient({ socket: { path: "/run/paddock-redis/redis.sock" } });
 *     client.on("error", console.error); // node-redis wants it, and connects again by itself
 *     const queue = new Queue(await client.connect(), "default");
 *     const job = await queue.enqueue(zip, { tenant: "team-7", trace: "calls", cpu_ms: 2000 });
 *     for await (const entry of queue.follow(job.id)) {
 *         if (entry.kind === "slice") show(entry.data); // bytes of the recording: recording.js decodes them
 *         if (entry.kind === "result") console.log(entry.data.verdict, "-", entry.data.sentence);
 *     }
 *
 * Needs no more rights than the user `paddock-web` of redis-users.acl has. All Streams that a Queue follows at a time are
 * waited for on one more connection, a duplicate of the client, which is closed when nobody follows. Each follower is served
 * as it asks: one that is slow holds nobody up, and has four entries at most (of up to 256 KB) that it has not taken.
 * Where Redis is away calls are repeated for `patience` seconds, and `follow` goes on where it was, for as long each time, or
 * until its signal is aborted; an
 * error that is none of those below is node-redis's own. (Its `disableOfflineQueue` lets calls fail then; without it they wait
 * as long as it tries.)
 */

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

export const START = "0-0";
/** The result is the last entry that there can be: nothing else is behind this one. */
export const BEFORE_RESULT = "18446744073709551615-18446744073709551614";
export const END = "18446744073709551615-18446744073709551615";

const BLOCK_MS = 5000;
const COUNT = 4; // entries that are read at once
const GATHER_MS = 5; // before all followers are waited for again: most have asked for more by then
const PAUSES_MS = [50, 100, 200, 500, 1000]; // between a call and its repetitions; the last one from then on
const AS_BYTES = { returnBuffers: true, typeMapping: { 36: Buffer } }; // to node-redis 4; to 5 and 6: "$", a text of RESP

/** What is a number in a job's hash, as it is in its result. */
const NUMBER = /^(\w+_(ms|kb|mb|s)|attempt|bytes|lost|max_deliveries|exit_code|signal|frames_dropped|live_input|replace)$/;

/**
 * @typedef {{position: string, kind: string, attempt: number, data: any}} Entry `position`: where `follow` goes on behind it;
 * `data`: a Buffer of a "slice", of "state" and "result" an object
 * @typedef {{[name: string]: string | number | boolean | Uint8Array}} Fields
 * @typedef {{at: string, fields: Map<string, Buffer>}} Read
 * @typedef {{position: string, resolve: (entries: Read[]) => void}} Waiter
 */

/** Whatever Paddock has to say against a call. */
export class PaddockError extends Error {
    get name() { return this.constructor.name; }
}

/** No pool has served this Redis yet. */
export class NoPool extends PaddockError {}

/** There is none of this id, or its time is over. */
export class NoSuchJob extends PaddockError {}

/** Nothing was changed. */
export class Refused extends PaddockError {}

/** There is no such `field`, or it takes no such value, which `sentence` says. */
export class BadField extends Refused {
    /** @param {string} field @param {string} sentence */
    constructor(field, sentence) {
        super(`${field}: ${sentence}`);
        this.field = field;
        this.sentence = sentence;
    }
}

/** Now and later: `limit` bytes are allowed. */
export class TooBig extends Refused {
    /** @param {number} limit */
    constructor(limit) {
        super(`more than ${limit} bytes`);
        this.limit = limit;
    }
}

/** `reason` says what is at its limit: "jobs", "bytes", "tenant" or "memory". Try again after `retryMs`. */
export class Full extends Refused {
    /** @param {string} reason @param {number} retryMs */
    constructor(reason, retryMs) {
        super(`${reason}: try again after ${retryMs} ms`);
        this.reason = reason;
        this.retryMs = retryMs;
    }
}

/** There is a job of this id already, in this `state`. */
export class Duplicate extends Refused {
    /** @param {string} state */
    constructor(state) {
        super(`there is a job of this id, which is ${state}`);
        this.state = state;
    }
}

/**
 * `reason`: "full" (it has taken all that a job may), "closed" (its end was sent), "refused" (it has no live input) or "final".
 */
export class InputRefused extends Refused {
    /** @param {string} reason */
    constructor(reason) {
        super(`the job takes no such input: ${reason}`);
        this.reason = reason;
    }
}

/** One queue of a pool. */
export class Queue {
    #client;
    #prefix;
    #patienceMs;
    #tail = /** @type {Tail | null} */ (null); // while somebody follows

    /**
     * @param {any} client of node-redis, connected, with a handler of its "error" events
     * @param {string} [name] @param {{patience?: number}} [options] seconds
     */
    constructor(client, name = "default", { patience = 30 } = {}) {
        if (!/^[A-Za-z0-9_.-]{1,64}$/.test(name)) { throw new RangeError("a queue's name is 1 to 64 letters, digits, _, . and -"); }
        this.#client = client;
        this.#prefix = `paddock:{${name}}:`;
        this.#patienceMs = patience * 1000;
    }

    /**
     * A ZIP, or one bare source file (`source: "py"`), with the fields of PROTOCOL's table. Without an id it makes one. A
     * connection that is lost on the way costs nothing: what is sent again has the same id.
     * @param {Uint8Array} program @param {Fields} [fields] @param {string} [id]
     * @returns {Promise<{id: string, position: number}>} `position`: jobs that could run and wait before it
     */
    async enqueue(program, fields = {}, id = randomBytes(16).toString("hex")) {
        checkId(id);
        const began = performance.now();
        const words = Object.entries(fields).flatMap(([name, value]) => [name, asWord(value)]);
        const [answer, repeated] = await this.#repeat(() => this.#submit(program, id, words));
        const [word, reason, ms] = answer.split(" ");
        if (word === "full") { throw new Full(reason, Number(ms)); }
        if (word === "duplicate") {
            if (!repeated || !await this.#isOfLate(id, began)) { throw new Duplicate(reason); }
            return { id, position: (await this.position(id))?.ahead ?? 0 };
        }
        return { id, position: Number(reason) };
    }

    /**
     * The entries of the job's Stream behind the position `from`, as they come, up to its one result. At each "state" a reader
     * forgets what it has: an attempt begins. Slices of a lost attempt are left out. Throws NoSuchJob where there is none
     * (any more), and what the signal was aborted for.
     * @param {string} id @param {{from?: string, signal?: AbortSignal}} [options] @returns {AsyncGenerator<Entry, void, void>}
     */
    follow(id, { from = START, signal } = {}) {
        const isOne = /^[0-9]{1,20}-[0-9]{1,20}$/.test(from) && from.split("-").every((number) => BigInt(number) < 1n << 64n);
        if (!isOne) { throw new BadField("position", "takes that of an entry"); }
        return this.#entries(checkId(id), from, signal);
    }

    /**
     * How the job ended, as soon as it has. Throws as `follow` does: `{ signal: AbortSignal.timeout(5000) }` is a limit.
     * @param {string} id @param {{signal?: AbortSignal}} [options] @returns {Promise<any>}
     */
    async result(id, { signal } = {}) {
        let result;
        for await (const { data } of this.follow(id, { from: BEFORE_RESULT, signal })) { result = data; }
        return result;
    }

    /** "cancelled" (it waited), "requested" (it runs, and is about to be stopped) or "final". @param {string} id */
    async cancel(id) { return known(id, await this.#function("FCALL", "cancel", checkId(id))); }

    /**
     * Sends at most 65,536 bytes to a job with `live_input: 1`, and with `eof` their end: "ok" (it runs) or "queued". Is not
     * repeated, as it would be sent twice: do so where the connection is lost only if the program does not mind.
     * @param {string} id @param {string | Uint8Array} [data] @param {boolean} [eof]
     */
    async input(id, data = "", eof = false) {
        const words = ["FCALL", "paddock_input", "1", this.#prefix + "open", checkId(id), asWord(data), ...(eof ? ["eof"] : [])];
        const word = known(id, String(await this.#client.sendCommand(words).catch(fail)));
        if (word !== "ok" && word !== "queued") { throw new InputRefused(word); }
        return word;
    }

    /** @param {string} id */
    exists(id) { return this.#exists(id); }

    /**
     * The job's hash: its `state`, the fields that it was enqueued with, and when it has ended those of its result.
     * @param {string} id @returns {Promise<{[name: string]: string | number}>}
     */
    async status(id) {
        const pairs = pairsOf(await this.#call(["HGETALL", this.#prefix + "job:" + checkId(id)]));
        if (pairs.length === 0) { throw new NoSuchJob(id); }
        const isNumber = (/** @type {any[]} */ [name, value]) => NUMBER.test(name) && /^-?[0-9]+$/.test(value);
        return Object.fromEntries(pairs.map((pair) => isNumber(pair) ? [pair[0], Number(pair[1])] : pair));
    }

    /**
     * How many jobs have their turn before it and how long that may take, an estimate, in a paused queue from when it goes on;
     * zeros: it runs, or is the next. null: it is final, or there is none.
     * @param {string} id
     */
    async position(id) {
        const [ahead, waitMs] = (await this.#function("FCALL_RO", "position", checkId(id))).map(Number);
        return ahead < 0 ? null : { ahead, waitMs };
    }

    /** @param {string} id @param {string} position @param {AbortSignal} [signal] @returns {AsyncGenerator<Entry, void, void>} */
    async *#entries(id, position, signal) {
        const key = this.#prefix + "frames:" + id, tail = this.#tail ??= new Tail(this.#client, this.#prefix);
        tail.followers++;
        try {
            let attempt = await this.#attemptAt(key, position, signal), isBehind = true, isSilent = true;
            while (position !== END) {
                signal?.throwIfAborted();
                if (isSilent && !await this.#exists(id, signal)) { throw new NoSuchJob(id); }
                /** @type {Read[]} */
                const entries = isBehind ? await this.#range(key, "(" + position, "+", signal) : await tail.next(key, position, signal);
                isSilent = !isBehind && entries.length === 0;
                isBehind = entries.length === COUNT || isSilent;
                for (const { at, fields } of entries) {
                    const kind = String(fields.get("k")), number = Number(fields.get("a")), data = /** @type {Buffer} */ (fields.get("d"));
                    position = at;
                    if (kind === "slice" && attempt !== undefined && attempt !== number) { continue; } // its relay was lost
                    attempt = number;
                    yield { position, kind, attempt, data: kind === "slice" ? data : JSON.parse(String(data)) };
                }
            }
        } finally {
            if (--tail.followers === 0) {
                tail.stop();
                this.#tail = null;
            }
        }
    }

    /** @param {string} id @param {AbortSignal} [signal] */
    async #exists(id, signal) { return Number(await this.#call(["EXISTS", this.#prefix + "job:" + checkId(id)], {}, signal)) > 0; }

    /**
     * Of the entry that a reader has seen last, if it has seen one.
     * @param {string} key @param {string} position @param {AbortSignal} [signal]
     */
    async #attemptAt(key, position, signal) {
        if (position === START || position === BEFORE_RESULT || position === END) { return undefined; }
        const [seen] = await this.#range(key, position, position, signal);
        return seen && Number(seen.fields.get("a"));
    }

    /** @param {string} key @param {string} from @param {string} to @param {AbortSignal} [signal] */
    async #range(key, from, to, signal) {
        return readOf(await this.#call(["XRANGE", key, from, to, "COUNT", String(COUNT)], AS_BYTES, signal));
    }

    /** @param {Uint8Array} program @param {string} id @param {(string | Buffer)[]} words @returns {Promise<string>} */
    async #submit(program, id, words) {
        const upload = randomBytes(16).toString("hex");
        const [stored, answered] = await Promise.allSettled([
            this.#client.sendCommand(["SET", this.#prefix + "up:" + upload, asWord(program), "EX", "60"]),
            this.#client.sendCommand(["FCALL", "paddock_enqueue", "1", this.#prefix + "open", id, "upload", upload, ...words]),
        ]);
        const isLost = stored.status === "rejected" && !isAnswer(stored.reason); // whatever became of the other one
        if (answered.status === "rejected") { throw isLost ? stored.reason : answered.reason; }
        // Where Redis has no room for the upload, the function says so better.
        if (stored.status === "rejected" && (isLost || !String(answered.value).startsWith("full"))) { throw stored.reason; }
        return String(answered.value);
    }

    /** Was it enqueued since then? The answer that was lost was its own, then. @param {string} id @param {number} began */
    async #isOfLate(id, began) {
        const [seconds, micros] = (await this.#call(["TIME"])).map(Number);
        const elapsedMs = performance.now() - began; // after it: on its way it takes time, too
        const enqueued = await this.#call(["HGET", this.#prefix + "job:" + id, "enqueued_ms"]);
        return enqueued !== null && Number(enqueued) >= seconds * 1000 + Math.floor(micros / 1000) - elapsedMs - 1;
    }

    /** @param {string} how @param {string} name @param {string[]} words @returns {Promise<any>} */
    #function(how, name, ...words) { return this.#call([how, "paddock_" + name, "1", this.#prefix + "open", ...words]); }

    /** @param {string[]} words @param {object} [options] @param {AbortSignal} [signal] @returns {Promise<any>} */
    async #call(words, options, signal) { return (await this.#repeat(() => this.#client.sendCommand(words, options), signal))[0]; }

    /**
     * The answer, and whether it took more than one call.
     * @template T @param {() => Promise<T>} ask @param {AbortSignal} [signal] @returns {Promise<[T, boolean]>}
     */
    async #repeat(ask, signal) {
        const giveUp = performance.now() + this.#patienceMs;
        for (let asked = 0; ; asked++) {
            try {
                return [await unless(signal, ask()), asked > 0];
            } catch (error) {
                signal?.throwIfAborted();
                if (isAnswer(error) || !this.#client.isOpen || performance.now() > giveUp) { fail(error); }
            }
            await unless(signal, sleep(PAUSES_MS[Math.min(asked, PAUSES_MS.length - 1)]));
        }
    }
}

/**
 * The connection that waits for the news of all Streams that are followed, by one XREAD at a time. Whoever comes while it
 * waits wakes it, by an entry in a Stream of its own.
 */
class Tail {
    followers = 0;
    #client;
    #reader;
    #waiters = /** @type {Map<string, Set<Waiter>>} */ (new Map()); // by key
    #asked = /** @type {Map<string, string> | null} */ (null); // by the XREAD that waits now: positions by key
    #wakeKey; // no job's: there is no dot in their ids
    #wakeAt = START;
    #isRunning = false;
    #isConnecting = false;
    #isStopped = false;

    /** @param {any} client @param {string} prefix */
    constructor(client, prefix) {
        this.#client = client;
        this.#wakeKey = `${prefix}frames:.wake-${randomBytes(16).toString("hex")}`;
        this.#reader = client.duplicate();
        this.#reader.on("error", () => { // it connects again, and followers look by themselves meanwhile
            if (this.#isStopped) { this.#leave(); }
        });
    }

    /** For good: nobody follows. */
    stop() {
        this.#isStopped = true;
        if (!this.#isConnecting) { this.#leave(); } // else it would be there all the same, and nobody could close it
    }

    #leave() {
        if (!this.#reader.isOpen) { return; }
        Promise.resolve(this.#reader.destroy ? this.#reader.destroy() : this.#reader.disconnect()).catch(() => {});
        this.#client.sendCommand(["UNLINK", this.#wakeKey]).catch(() => {}); // or it expires
    }

    /**
     * Entries behind the position, as soon as there are some; none after a while, or where the signal is aborted.
     * @param {string} key @param {string} position @param {AbortSignal} [signal] @returns {Promise<Read[]>}
     */
    next(key, position, signal) {
        return new Promise((resolve) => {
            const waiters = this.#waiters.get(key) ?? new Set(), nothing = () => waiter.resolve([]);
            const timer = setTimeout(nothing, BLOCK_MS);
            /** @type {Waiter} */
            const waiter = { position, resolve: (entries) => {
                clearTimeout(timer);
                signal?.removeEventListener("abort", nothing);
                waiters.delete(waiter);
                if (waiters.size === 0 && this.#waiters.get(key) === waiters) { this.#waiters.delete(key); }
                resolve(entries);
            } };
            this.#waiters.set(key, waiters.add(waiter));
            signal?.addEventListener("abort", nothing);
            if (signal?.aborted) { nothing(); }
            if (!this.#isRunning) { this.#run(); }
            const asked = this.#asked?.get(key);
            if (this.#asked !== null && (asked === undefined || isLater(asked, position))) { this.#wake(); }
        });
    }

    async #run() {
        this.#isRunning = true;
        while (this.#waiters.size > 0 && !this.#isStopped) {
            try {
                if (!this.#reader.isOpen) { await this.#connect(); }
                if (this.#isStopped) { break; }
                const asked = this.#asked = this.#positions();
                const words = ["COUNT", String(COUNT), "BLOCK", String(BLOCK_MS), "STREAMS", ...asked.keys(), ...asked.values()];
                const reply = await this.#reader.sendCommand(["XREAD", ...words], AS_BYTES);
                this.#asked = null;
                for (const [key, entries] of pairsOf(reply)) { this.#tell(String(key), readOf(entries)); }
            } catch {
                this.#asked = null;
                await sleep(PAUSES_MS[1]);
            }
            await sleep(GATHER_MS);
        }
        this.#isRunning = false;
    }

    async #connect() {
        this.#isConnecting = true;
        try {
            await this.#reader.connect();
        } finally {
            this.#isConnecting = false;
            if (this.#isStopped) { this.#leave(); }
        }
    }

    /** Of each key the one of who is most behind. */
    #positions() {
        const positions = new Map([[this.#wakeKey, this.#wakeAt]]);
        for (const [key, waiters] of this.#waiters) {
            positions.set(key, [...waiters].map(({ position }) => position).reduce((a, b) => isLater(a, b) ? b : a));
        }
        return positions;
    }

    /** @param {string} key @param {Read[]} entries */
    #tell(key, entries) {
        if (key === this.#wakeKey) { this.#wakeAt = entries[entries.length - 1].at; }
        for (const { position, resolve } of [...this.#waiters.get(key) ?? []]) {
            const news = entries.filter(({ at }) => isLater(at, position));
            if (news.length > 0) { resolve(news); }
        }
    }

    /** Where Redis does not take it, whoever waits looks by himself after a while. */
    #wake() {
        this.#asked = null;
        for (const words of [["XADD", this.#wakeKey, "MAXLEN", "1", "*", "k", "wake"], ["EXPIRE", this.#wakeKey, "60"]]) {
            this.#client.sendCommand(words).catch(() => {});
        }
    }
}

/**
 * What is promised, or, as soon as the signal is aborted, what it was aborted for.
 * @template T @param {AbortSignal | undefined} signal @param {Promise<T>} promise @returns {Promise<T>}
 */
async function unless(signal, promise) {
    if (signal === undefined) { return promise; }
    promise.catch(() => {}); // it may fail later
    signal.throwIfAborted();
    let stop = () => {};
    try {
        return await Promise.race([promise, /** @type {Promise<never>} */ (new Promise((_, reject) => {
            stop = () => reject(signal.reason);
            signal.addEventListener("abort", stop);
        }))]);
    } finally {
        signal.removeEventListener("abort", stop);
    }
}

/** Is a position in a Stream later than another? @param {string} a @param {string} b */
function isLater(a, b) {
    const [ms, number] = a.split("-"), [otherMs, otherNumber] = b.split("-");
    return isMore(ms, otherMs) || ms === otherMs && isMore(number, otherNumber);
}

/** Of whole numbers of up to 64 bits, as Redis writes them. @param {string} a @param {string} b */
function isMore(a, b) { return a.length > b.length || a.length === b.length && a > b; }

/** [name, value] each: RESP3 has maps where RESP2 has lists. @param {any} reply @returns {[any, any][]} */
function pairsOf(reply) {
    if (!Array.isArray(reply)) { return Object.entries(reply ?? {}); }
    if (Array.isArray(reply[0])) { return /** @type {[any, any][]} */ (reply); }
    return reply.flatMap((name, i) => i % 2 === 0 ? [/** @type {[any, any]} */ ([name, reply[i + 1]])] : []);
}

/** @param {[Buffer, Buffer[]][]} reply @returns {Read[]} */
function readOf(reply) {
    return reply.map(([at, words]) => ({ at: String(at), fields: new Map(pairsOf(words).map(([name, value]) => [String(name), value])) }));
}

/** @param {string | number | boolean | Uint8Array} value */
function asWord(value) {
    if (value instanceof Uint8Array) { return Buffer.from(value.buffer, value.byteOffset, value.byteLength); }
    return String(typeof value === "boolean" ? Number(value) : value);
}

/** @param {string} id */
function checkId(id) {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) { throw new BadField("id", "takes 1 to 64 letters, digits, _ and -"); }
    return id;
}

/** @param {string} id @param {string} word */
function known(id, word) {
    if (word === "unknown") { throw new NoSuchJob(id); }
    return word;
}

/** Did Redis say so, and not a connection? @param {any} error */
function isAnswer(error) { return /^[A-Z][A-Z0-9_]* /.test(error?.message) && !error.message.startsWith("LOADING "); }

/** What an error says of Paddock; itself, where that is nothing. @param {any} error @returns {never} */
function fail(error) {
    const [, code, rest] = /^([A-Z]+) (.*)$/s.exec(error?.message) ?? [];
    if (code === "BADFIELD") { throw new BadField(...split(rest)); }
    if (code === "TOOBIG") { throw new TooBig(Number(rest)); }
    if (code === "OOM") { throw new Full("memory", 1000); }
    throw code === "ERR" && rest.includes("Function not found") ? new NoPool("no pool has served this Redis yet") : error;
}

/** "NAME: SENTENCE". @param {string} text @returns {[string, string]} */
function split(text) {
    const end = text.indexOf(": ");
    return end < 0 ? ["", text] : [text.slice(0, end), text.slice(end + 2)];
}
