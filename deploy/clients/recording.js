// SPDX-License-Identifier: MIT
/**
 * Reads Paddock's recordings (docs/PROTOCOL.md, "The recording", version 4). For browsers and node; needs nothing else, but
 * of node before 22 to be known as a module: by package.json, or as recording.mjs.
 * Trusts nothing: a recording is written in the process of the program that it tells of, which may be hostile. What is
 * kept grows with the bytes that have come, and with calls that are open, of which there are 200,000 at most; what a
 * `repeat` stands for is made one by one as it is asked for.
 *
 *     const trace = new Trace();
 *     for await (const slice of slices) {
 *         for (const event of trace.push(slice)) show(event);
 *     }
 *     for (const event of trace.finish()) show(event);
 *
 * `Decoder` gives the records as they stand, `Trace` what they mean. Whoever reads a recording that still grows calls no
 * `finish`: it is there that one that is cut off, or has nothing in it, is an error. One that has no `end` record is whole:
 * its program was killed.
 */

const VERSION = 4, MAGIC = "PADDOCK";
const RECORD_MAX = 32768; // bytes
const FIELDS_MAX = 1024; // of a record: each in a group, and a group's count
const ENCODER = new TextEncoder();
const LINE = ENCODER.encode('{"kind":"header",');
const LINES = "a recording as lines of JSON (encoding=json): each line is a record, and needs no decoder";
const HISTORY = 255; // trace records that a repeat can reach back
const DEPTH_MAX = 100000; // calls within one another: what is deeper is not traced
const OPEN_MAX = 200000; // calls that are open in all threads: what is more is not traced
const THREADS_MAX = 65536; // what more there are is not traced
const LINE_MIN = -(2 ** 31), LINE_MAX = 2 ** 31 - 1;
const VALUES = 1024, VALUE_MAX = 256; // names whose last values are kept, and bytes of one
const CAP_MIN = 2 * HISTORY; // of a repeat: so much, and all that can be reached back to is of it

/** Fields of each kind, as PROTOCOL has them. */
const FIELDS = {
    1: "header magic:x version:u level:x engine:x",
    2: "file file:u path:x",
    3: "function function:u file:u line:u name:x",
    4: "thread thread:u",
    5: "call time:t function:u",
    6: "return time:t",
    7: "unwind time:t",
    8: "line time:t step:s",
    9: "repeat time:t period:u records:u",
    10: "variable name:u type:u head:u tail:u value:x",
    11: "out time:t data:b",
    12: "err time:t data:b",
    13: "name name:u text:x",
    14: "yield time:t",
    15: "resume time:t function:u step:s",
    16: "exception time:t step:s type:u",
    17: "error time:t relation:x type:x message:x frames:[ file:x line:u column:u end_line:u end_column:u " +
        "function:x source:x ]",
    18: "dropped time:t produced:u",
    19: "sync time:t thread:u stack:[ function:u line:u ]",
    20: "end time:t produced:u",
    21: "level level:x",
    22: "input time:t",
    23: "host time:t json:x",
    24: "value time:t total:u part:b",
    25: "saved time:t name:x media_type:x total:u part:d",
    26: "input_end time:t",
};

/** What a trace record adds to the depth. @type {{[kind: string]: number}} */
const LEVELS = { call: 1, resume: 1, return: -1, unwind: -1, yield: -1, line: 0, exception: 0 };

/** @typedef {{name: string, letter: string, group: Field[]}} Field @typedef {{[field: string]: any}} Members */

/** @param {Iterator<string>} words @returns {Field[]} */
function fields(words) {
    const found = [];
    for (let word; !(word = words.next()).done && word.value !== "]";) {
        const [name, letter] = word.value.split(":");
        found.push({ name, letter, group: letter === "[" ? fields(words) : [] });
    }
    return found;
}

/** @type {{name: string, fields: Field[]}[]} */
const KINDS = [];
for (const [kind, row] of Object.entries(FIELDS)) {
    const [name, ...words] = row.split(" ");
    KINDS[Number(kind)] = { name, fields: fields(words.values()) };
}

const utf8 = () => new TextDecoder("utf-8", { ignoreBOM: true });
const UTF8 = utf8();
const TORN = Symbol("more bytes are needed");

/** A recording that cannot be read on: foreign, of another version, malformed, or cut off. */
export class RecordingError extends Error {
    /** @param {number} offset of the record @param {string} reason */
    constructor(offset, reason) {
        super(`at byte ${offset}: ${reason}`);
        this.name = "RecordingError";
        this.offset = offset;
        this.reason = reason;
    }
}

/**
 * A record: its `kind`, and its fields by the names of PROTOCOL's table. `time` counts from the start of the job, in
 * microseconds; `b` and `d` are Uint8Arrays of their own, `x` a string in which U+FFFD stands for what is no UTF-8; a group is
 * an array of objects. A short line is a `line` with the time of the record before.
 * @typedef {{kind: string, time?: number, [field: string]: any}} RecordingRecord
 */

/** Records out of bytes, as these come. */
export class Decoder {
    #bytes = new Uint8Array(0); // what has come and is not decoded
    #at = 0; // in these
    #start = 0; // of the record being read
    #before = 0; // bytes that came before these
    #time = 0;
    #started = false;
    #ended = false;
    #count = 0; // of the record's fields
    #error = /** @type {RecordingError | null} */ (null);

    /** Where the next record begins. */
    get offset() { return this.#before + this.#at; }

    /** Takes bytes in without reading them: for `next`. @param {Uint8Array | ArrayBuffer} bytes are copied */
    feed(bytes) {
        const more = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
        if (!(more instanceof Uint8Array)) { throw new TypeError("a recording is bytes: of a Uint8Array or an ArrayBuffer"); }
        const left = this.#bytes.subarray(this.#at), joined = new Uint8Array(left.length + more.length);
        joined.set(left);
        joined.set(more, left.length);
        this.#before += this.#at;
        this.#at = 0;
        this.#bytes = joined;
    }

    /** The next record, or undefined where its end is still to come. @returns {RecordingRecord | undefined} */
    next() {
        if (this.#error !== null) { throw this.#error; }
        if (this.#at === this.#bytes.length) { return undefined; }
        const kind = this.#bytes[this.#start = this.#at];
        if (kind >= 128 && this.#started && !this.#ended) {
            this.#at++;
            return { kind: "line", time: this.#time, step: kind - 192 };
        }
        try {
            return this.#record(kind);
        } catch (thrown) {
            this.#at = this.#start;
            if (thrown === TORN) { return undefined; }
            throw this.#error = /** @type {RecordingError} */ (thrown);
        }
    }

    /**
     * The records that are whole with these bytes. Where one cannot be read, those before it are returned first, and the
     * error comes with the next call of `push` or `finish`.
     * @param {Uint8Array | ArrayBuffer} bytes @returns {RecordingRecord[]}
     */
    push(bytes) {
        const records = [];
        this.feed(bytes);
        try {
            for (let record; (record = this.next()) !== undefined;) { records.push(record); }
        } catch (error) {
            if (records.length === 0) { throw error; }
        }
        return records;
    }

    /** No more will come. Throws a RecordingError where a record is cut off, and where there is none. */
    finish() {
        const torn = this.#at < this.#bytes.length;
        if (this.#error === null && (torn || !this.#started)) {
            this.#error = new RecordingError(this.offset, torn ? "a record that is cut off" : "there is nothing in it");
        }
        if (this.#error !== null) { throw this.#error; }
    }

    /** @param {number} kind @returns {RecordingRecord} */
    #record(kind) {
        const row = KINDS[kind];
        if (!this.#started && kind !== 1) { this.#fail(this.#isLine() ? LINES : "this is not the beginning of a recording"); }
        if (this.#ended) { this.#fail("there is more behind its end"); }
        if (row === undefined) { this.#fail(`a record of kind ${kind}, which this reader does not know`); }
        if (this.#started && kind === 1) { this.#fail("a second header"); }
        this.#at++;
        this.#count = row.fields.length;
        const record = /** @type {RecordingRecord} */ (this.#fields(row.fields, kind, { kind: row.name }));
        this.#started = true;
        this.#ended = kind === 20;
        this.#time = record.time ?? this.#time;
        return record;
    }

    /** Does it begin as lines of JSON do? */
    #isLine() {
        const begun = this.#bytes.subarray(this.#at, this.#at + LINE.length);
        if (begun.some((byte, i) => byte !== LINE[i])) { return false; }
        if (begun.length < LINE.length) { throw TORN; }
        return true;
    }

    /** Early: behind a magic or a version that is not ours nothing is ours to read. @param {Members} record */
    #check(record) {
        if (record.magic !== MAGIC) { this.#fail("this is not a recording of Paddock"); }
        if ((record.version ?? VERSION) !== VERSION) {
            this.#fail(`a recording of version ${record.version}, where this reader knows version ${VERSION}`);
        }
    }

    /** Reads them into `to`. @param {Field[]} fields @param {number} kind of the record, 0: of a group @param {Members} to */
    #fields(fields, kind, to) {
        for (const field of fields) {
            to[field.name] = this.#field(field, kind);
            if (kind === 1) { this.#check(to); }
        }
        return to;
    }

    /** @param {Field} field @param {number} kind */
    #field({ letter, group }, kind) {
        if (letter === "[") { return this.#group(group); }
        if (letter === "x") { return UTF8.decode(this.#take()); }
        if (letter === "b" || letter === "d") { return this.#take().slice(); }
        const value = this.#varint(), time = value + (kind === 19 ? 0 : this.#time);
        if (letter === "u") { return value; }
        if (letter === "s") { return value % 2 === 0 ? value / 2 : -(value + 1) / 2; }
        return time <= Number.MAX_SAFE_INTEGER ? time : this.#fail("a time beyond 2^53 - 1");
    }

    /** @param {Field[]} group */
    #group(group) {
        const count = this.#varint();
        this.#count += count * group.length;
        if (this.#count > FIELDS_MAX) { this.#fail(`a record of more than ${FIELDS_MAX} fields`); }
        this.#need(count * group.length); // at least: before anything is made of so many
        return Array.from({ length: count }, () => this.#fields(group, 0, {}));
    }

    #varint() {
        let value = 0;
        for (let digits = 0, weight = 1; ; digits++, weight *= 128) {
            this.#need(1);
            const byte = this.#bytes[this.#at++];
            if (digits === 9 && byte > 1) { this.#fail("a number of more than 64 bits"); }
            value += (byte & 127) * weight;
            if (byte < 128) { return value <= Number.MAX_SAFE_INTEGER ? value : this.#fail("a number beyond 2^53 - 1"); }
        }
    }

    /** Bytes with their length in front. */
    #take() {
        const size = this.#varint();
        this.#need(size);
        this.#at += size;
        return this.#bytes.subarray(this.#at - size, this.#at);
    }

    /** @param {number} size */
    #need(size) {
        if (this.#at + size - this.#start > RECORD_MAX) { this.#fail(`a record of more than ${RECORD_MAX} bytes`); }
        if (this.#at + size > this.#bytes.length) { throw TORN; }
    }

    /** @param {string} reason @returns {never} */
    #fail(reason) { throw new RecordingError(this.#before + this.#start, reason); }
}

/** A call that is open, or what an event tells of one. @typedef {{function: string, file: string, line: number}} Place */

/**
 * What happened. Each has `kind`, `time` and `thread`; beside these:
 * - header: level, engine. level: level. input, input_end: nothing. host: json. end: produced
 * - call, resume, line, return, unwind, yield: depth (calls open in the thread, its own among them), function, file, line
 *   (the line in that file: of a call its function's first, of a resume the one that it was suspended on, of a return the last
 *   one that ran). Where the call is not known, as tracing began later, function and file are "" and line is 0
 * - exception: the same, exception (its number) and type. variable: the same, name, type, value; null where it is gone
 * - folded: period, records: so many trace records of a loop, or of calls within calls, that were not unfolded (see
 *   `repeats`); depth: calls that are open behind them, of which those above the depth before it have not been told
 * - out, err: text, with characters that two records share put together. error: relation, type, message, frames
 * - dropped: produced, missing (trace records that are not there). sync: depth, stack (places, innermost last)
 * - value: json. saved: name, media_type, data. Both come when they are whole
 * @typedef {{kind: string, time: number, thread: number, [field: string]: any}} RecordingEvent
 */

/** @type {Place} */
const NOWHERE = Object.freeze({ function: "", file: "", line: 0 });

/**
 * What is left of one. A round of it adds `net` to the depth, on the way to which it is lowest by `low` and highest by
 * `high`. To the line of a call that it finds, at a level of 0 (the innermost) down to `low`, it adds `lines` on the way
 * from a `least` to a `most`: these are in `moves`, the last of which is that of the lowest. To the number of the last exception
 * it adds `exceptions`, modulo 2^32.
 * @typedef {{lines: number, least: number, most: number}} Moves
 * @typedef {{pattern: RecordingRecord[], at: number, left: number, done: number, net: number, low: number, high: number,
 *     exceptions: number, moves: Moves[]}} Repeat
 */

/** @param {RecordingRecord[]} pattern @param {number} left @returns {Repeat} */
function measured(pattern, left) {
    const repeat = { pattern, at: 0, left, done: 0, net: 0, low: 0, high: 0, exceptions: 0, moves: [{ lines: 0, least: 0, most: 0 }] };
    for (const { kind, step } of pattern) {
        repeat.net += LEVELS[kind];
        repeat.high = Math.max(repeat.high, repeat.net);
        if (repeat.net < repeat.low) {
            repeat.low = repeat.net;
            repeat.moves.push({ lines: 0, least: 0, most: 0 });
        } else if (kind === "line" && repeat.net === repeat.low) {
            const moves = repeat.moves[-repeat.low];
            moves.lines += step;
            moves.least = Math.min(moves.least, moves.lines);
            moves.most = Math.max(moves.most, moves.lines);
        } else if (kind === "exception") {
            repeat.exceptions = (repeat.exceptions + step) | 0;
        }
    }
    return repeat;
}

/** Can a round begin where a call that moves so is at this line? @param {Moves} moves @param {number} line */
function holds({ least, most }, line) { return line + least >= LINE_MIN && line + most <= LINE_MAX; }

/** Steps of `step` from 0 to `most`, both included: 0 where that is less. @param {number} most @param {number} step */
function stepsTo(most, step) { return most < 0 ? 0 : Math.floor(most / step) + 1; }

/** Events out of bytes, as these come. */
export class Trace {
    #decoder = new Decoder();
    #repeats;
    #error = /** @type {RecordingError | null} */ (null);
    #offset = 0; // of the record being told
    #time = 0;
    #thread = 0;
    #stacks = /** @type {Map<number, Place[]>} */ (new Map());
    #stack = /** @type {Place[]} */ ([]); // of the thread
    #open = 0; // calls on all stacks
    #exception = 0; // number of the last one
    #values = /** @type {Map<number, Uint8Array>} */ (new Map()); // the last ones, by the number of the name
    #history = /** @type {RecordingRecord[]} */ ([]); // the last trace records, and some before these
    #repeat = /** @type {Repeat | null} */ (null); // that is being unfolded
    #seen = 0; // trace records, and those that are missing
    #tables = /** @type {{[kind: string]: any[]}} */ ({ file: [], function: [null], name: [null] }); // records by number
    #wholes = new Map();
    #text = /** @type {{[kind: string]: TextDecoder}} */ ({ out: utf8(), err: utf8() });

    /**
     * @param {{repeats?: number}} [options] `repeats`: how many records of one `repeat` are unfolded, 510 at least, before
     * the whole rounds that are left become one `folded` event; without it all of them are
     */
    constructor({ repeats = Infinity } = {}) {
        this.#repeats = Math.max(repeats, CAP_MIN);
        this.#switch(0);
    }

    /**
     * What these bytes tell. Throws a RecordingError after the last event that can be told. What is not asked for now
     * comes first in the next call.
     * @param {Uint8Array | ArrayBuffer} bytes are copied @returns {Generator<RecordingEvent, void, void>}
     */
    push(bytes) {
        this.#decoder.feed(bytes);
        return this.#drain();
    }

    /**
     * No more will come: what is left, and half a character at the end of the output. Throws as `push` does, and where a
     * record is cut off, or there is none.
     * @returns {Generator<RecordingEvent, void, void>}
     */
    *finish() {
        yield* this.#drain();
        yield* this.#flush();
        this.#decoder.finish();
    }

    /** @returns {Generator<RecordingEvent, void, void>} */
    *#drain() {
        for (;;) {
            if (this.#error !== null) { throw this.#error; }
            if (this.#repeat !== null) { yield* this.#unfold(this.#repeat); }
            this.#repeat = null;
            this.#offset = this.#decoder.offset;
            const record = this.#decoder.next();
            if (record === undefined) { return; }
            this.#time = record.time ?? this.#time;
            if (record.kind === "end") { yield* this.#flush(); }
            const event = this.#apply(record);
            if (event !== undefined) { yield event; }
        }
    }

    /**
     * What stands in a repeat, in its order. That it may be left at any `yield` is why all that it knows is in `repeat`.
     * @param {Repeat} repeat @returns {Generator<RecordingEvent, void, void>}
     */
    *#unfold(repeat) {
        const { pattern } = repeat;
        while (repeat.left > 0) {
            const canSkip = repeat.at === 0 && repeat.done >= this.#repeats && repeat.left >= pattern.length;
            const rounds = canSkip ? this.#skip(repeat) : 0, records = rounds * pattern.length;
            if (records > 0) {
                this.#exception = (this.#exception + Math.imul(rounds, repeat.exceptions)) >>> 0;
                repeat.left -= records;
                this.#seen += records;
                yield this.#event("folded", { period: pattern.length, records, depth: this.#stack.length });
                continue;
            }
            const record = pattern[repeat.at];
            repeat.at = (repeat.at + 1) % pattern.length;
            repeat.done++;
            repeat.left--;
            yield this.#traced(record);
        }
    }

    /**
     * Between two rounds, of which two have been told: how many are left out, as if they had been. Each does what the one
     * before it did, to the same calls or to others like them; none is left out that could not be told.
     * @param {Repeat} repeat
     */
    #skip(repeat) {
        const { net, low, high, moves } = repeat, stack = this.#stack, floor = stack.length + low;
        const all = Math.floor(repeat.left / repeat.pattern.length);
        let rounds = 0;
        if (floor <= 0) { return net - low === stack.length ? all : 0; } // all are left, and the same come each time
        if (net === 0) { return this.#wander(stack[floor - 1], moves[-low], all); }
        if (net < 0) {
            const most = Math.min(all, stepsTo(floor - 1, -net));
            while (rounds < most && this.#canRise(repeat, rounds)) { rounds++; }
        } else if (holds(moves[-low], stack[floor - 1].line)) {
            rounds = Math.min(all, stepsTo(DEPTH_MAX - high - stack.length, net), stepsTo(OPEN_MAX - high - this.#open, net));
        }
        return rounds > 0 ? this.#leap(repeat, rounds) : 0;
    }

    /**
     * Behind so many rounds, can one more begin at the calls that it finds, and none before it has found? The outermost of
     * these alone is left where it is: its line goes on, and is there for the next one.
     * @param {Repeat} repeat @param {number} rounds
     */
    #canRise({ net, low, moves }, rounds) {
        const stack = this.#stack, height = stack.length + rounds * net;
        let moved = rounds > 0 ? moves[-low].lines : 0;
        for (let level = low - net; level >= low; level--, moved = 0) {
            if (!holds(moves[-level], stack[height + level - 1].line + moved)) { return false; }
        }
        return true;
    }

    /**
     * Rounds that leave the stack as high as it was: the line of one call goes on.
     * @param {Place} call @param {Moves} moves @param {number} rounds
     */
    #wander(call, { lines, least, most }, rounds) {
        if (lines > 0) { rounds = Math.min(rounds, stepsTo(LINE_MAX - most - call.line, lines)); }
        if (lines < 0) { rounds = Math.min(rounds, stepsTo(call.line + least - LINE_MIN, -lines)); }
        call.line += lines * rounds;
        return rounds;
    }

    /**
     * Rounds that add to the stack, or take from it: what the last one has put there is on top, and where they add to it
     * stands there once for each. The line of the call below goes on.
     * @param {Repeat} repeat @param {number} rounds
     */
    #leap({ net, low, moves }, rounds) {
        const stack = this.#stack, change = (rounds - 1) * net;
        const top = stack.slice(stack.length - (net - low)).map((call) => ({ ...call }));
        const floor = stack.length = stack.length + low + Math.min(change, 0);
        this.#open += rounds * net;
        for (let i = 0; i < change; i++) { stack.push({ ...top[i % net] }); }
        for (let i = 0; i <= Math.max(change, 0); i += Math.abs(net)) { stack[floor - 1 + i].line += moves[-low].lines; }
        stack.push(...top);
        return rounds;
    }

    /** Characters that were begun and never ended. @returns {Generator<RecordingEvent, void, void>} */
    *#flush() {
        for (const kind of ["out", "err"]) {
            const text = this.#text[kind].decode();
            if (text !== "") { yield this.#event(kind, { text }); }
        }
    }

    /** @param {string} kind @param {object} rest @returns {RecordingEvent} */
    #event(kind, rest) { return { kind, time: this.#time, thread: this.#thread, ...rest }; }

    /** Of the innermost call. @param {string} kind @param {object} rest */
    #here(kind, rest) {
        const { function: name, file, line } = this.#stack.at(-1) ?? NOWHERE;
        return this.#event(kind, { depth: this.#stack.length, function: name, file, line, ...rest });
    }

    /** What it tells, if it is more than a name. @param {RecordingRecord} record @returns {RecordingEvent | undefined} */
    #apply(record) {
        const kind = record.kind;
        switch (kind) {
        case "call": case "resume": case "line": case "return": case "unwind": case "yield": case "exception":
            return this.#traced(record);
        case "repeat": return this.#begin(record);
        case "file": case "function": case "name": return this.#define(record);
        case "thread": return this.#switch(record.thread);
        case "sync": return this.#sync(record);
        case "header": return this.#event(kind, { level: record.level, engine: record.engine });
        case "variable": return this.#variable(record);
        case "out": case "err": return this.#event(kind, { text: this.#text[kind].decode(record.data, { stream: true }) });
        case "dropped": {
            const missing = Math.max(record.produced - this.#seen, 0);
            this.#seen += missing;
            if (missing > 0) { // what others have done in it is not known
                this.#stacks = new Map([[this.#thread, this.#stack]]);
                this.#open = this.#stack.length;
            }
            return this.#event(kind, { produced: record.produced, missing });
        }
        case "value": case "saved": return this.#part(record);
        default: return this.#event(kind, record); // error, end, level, input, input_end, host
        }
    }

    /** @param {RecordingRecord} record one of those that can be repeated @returns {RecordingEvent} */
    #traced(record) {
        const stack = this.#stack, kind = record.kind;
        let depth = stack.length, call;
        if (this.#history.push(record) === 4 * HISTORY) { this.#history.splice(0, 3 * HISTORY); }
        this.#seen++;
        if (kind === "exception") {
            this.#exception = (this.#exception + record.step) >>> 0; // what is left of it by 2^32
            return this.#here(kind, { exception: this.#exception, type: this.#name(record.type) });
        }
        if (kind === "line") {
            call = depth > 0 ? stack[depth - 1] : NOWHERE;
            if (depth > 0) { call.line = this.#line(call.line + record.step); }
        } else if (kind === "call" || kind === "resume") {
            if (depth === DEPTH_MAX) { this.#fail(`more than ${DEPTH_MAX} calls within one another`); }
            if (this.#open === OPEN_MAX) { this.#fail(`more than ${OPEN_MAX} calls that are open`); }
            this.#open++;
            call = this.#place(record.function);
            call.line = this.#line(call.line + (record.step ?? 0));
            depth = stack.push(call);
        } else {
            call = stack.pop() ?? NOWHERE;
            this.#open -= depth > 0 ? 1 : 0;
        }
        const { function: name, file, line } = call;
        return { kind, time: this.#time, thread: this.#thread, depth, function: name, file, line };
    }

    /** Its number has the name of its kind. Out of turn it is passed over. @param {Members} record @returns {undefined} */
    #define(record) {
        const table = this.#tables[record.kind];
        if (record.kind === "function") { this.#line(record.line); }
        if (record[record.kind] === table.length) { table.push(record); }
    }

    /** @param {number} number @returns {string} */
    #name(number) { return this.#tables.name[number]?.text ?? ""; }

    /** @param {number} number of a function @returns {Place} */
    #place(number) {
        const { file, function: functions } = this.#tables, known = functions[number];
        return known ? { function: known.name, file: file[known.file]?.path ?? "", line: known.line } : { ...NOWHERE };
    }

    /** @param {RecordingRecord} record @returns {undefined} */
    #begin({ period, records }) {
        const known = Math.min(this.#history.length, HISTORY);
        if (period < 1 || period > known) { this.#fail(`a repeat of the last ${period} records, where there are ${known}`); }
        this.#repeat = measured(this.#history.slice(-period), records);
    }

    /** @param {number} thread @returns {undefined} */
    #switch(thread) {
        if (thread >= THREADS_MAX) { this.#fail(`thread ${thread}, where there are no more than ${THREADS_MAX}`); }
        this.#thread = thread;
        this.#history = [];
        this.#stack = this.#stacks.get(thread) ?? [];
        this.#stacks.set(thread, this.#stack);
    }

    /** The calls of its thread, whatever was known of them before. @param {RecordingRecord} record */
    #sync({ thread, stack }) {
        for (const call of stack) { this.#line(call.line); }
        this.#open -= this.#stacks.get(thread)?.length ?? 0;
        this.#stacks.delete(thread);
        this.#switch(thread);
        this.#exception = 0;
        this.#values.clear();
        this.#open += stack.length;
        for (const call of stack) { this.#stack.push({ ...this.#place(call.function), line: call.line }); }
        return this.#event("sync", { depth: stack.length, stack: this.#stack.map((call) => ({ ...call })) });
    }

    /** @param {RecordingRecord} record */
    #variable({ name, type, head, tail, value: part }) {
        const value = this.#value(name, head, tail, part);
        const now = type === 0 ? { type: null, value: null } : { type: this.#name(type), value };
        return this.#here("variable", { name: this.#name(name), ...now });
    }

    /** The last one of that name, but for a part of it. @param {number} name @param {number} head @param {number} tail @param {string} part */
    #value(name, head, tail, part) {
        const last = this.#values.get(name) ?? new Uint8Array(0), bytes = ENCODER.encode(part);
        if (head + tail > last.length) { this.#fail(`a value that goes on from one of ${last.length} bytes beyond these`); }
        const joined = new Uint8Array(head + bytes.length + tail);
        joined.set(last.subarray(0, head));
        joined.set(bytes, head);
        joined.set(last.subarray(last.length - tail), head + bytes.length);
        const value = UTF8.decode(joined), whole = ENCODER.encode(value);
        if (name >= 1 && name <= VALUES) { this.#values.set(name, whole.length <= VALUE_MAX ? whole : new Uint8Array(0)); }
        return value;
    }

    /**
     * The first `total` bytes of one name are a whole; what comes then, or with another total, begins the next one.
     * @param {RecordingRecord} record
     */
    #part({ kind, name, media_type, total, part }) {
        const key = kind === "value" ? kind : `saved ${name}`;
        let whole = this.#wholes.get(key);
        if (whole?.total !== total) { this.#wholes.set(key, whole = { total, size: 0, parts: [] }); }
        whole.parts.push(part);
        whole.size += part.length;
        if (whole.size < total) { return undefined; }
        this.#wholes.delete(key);
        const data = new Uint8Array(whole.size);
        let at = 0;
        for (const piece of whole.parts) {
            data.set(piece, at);
            at += piece.length;
        }
        const bytes = data.slice(0, total);
        return this.#event(kind, kind === "value" ? { json: UTF8.decode(bytes) } : { name, media_type, data: bytes });
    }

    /** @param {number} line */
    #line(line) { return line >= LINE_MIN && line <= LINE_MAX ? line : this.#fail("a line beyond 2^31 - 1"); }

    /** @param {string} reason @returns {never} */
    #fail(reason) { throw this.#error = new RecordingError(this.#offset, reason); }
}
