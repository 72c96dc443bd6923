// SPDX-License-Identifier: MIT
/**
 * deploy/clients/recording.js, on the vectors of vectors/ (vectors.py says what stands in them). Run by ctest with node;
 * recording_test.py walks the same vectors.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { asJson, Decoder, RecordingError, Trace } from "./load_recording.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.join(here, "vectors");

const SMALL = 1000; // bytes: every prefix is tried, where there are no more than so many events
const MANY = 300; // events: more are counted

const names = readdirSync(folder).filter((name) => name.endsWith(".hex")).map((name) => name.slice(0, -4)).sort();
const vectors = names.map((name) => ({ name, data: readHex(name), expected: JSON.parse(readText(`${name}.json`)) }));

function readText(name) {
    return readFileSync(path.join(folder, name), "utf8");
}

function readHex(name) {
    const parts = readText(`${name}.hex`).split("\n").map((line) => {
        const [first, digits] = line.split("#")[0].split("*");
        const bytes = Buffer.from((digits ?? first).replaceAll(/\s/g, ""), "hex");
        return digits === undefined ? bytes : Buffer.concat(Array(Number(first)).fill(bytes));
    });
    return new Uint8Array(Buffer.concat(parts));
}

function pieces(data, cuts) {
    return [...cuts, data.length].map((end, i) => data.subarray(i === 0 ? 0 : cuts[i - 1], end));
}

/** Where records end. */
function endsOf(data) {
    const decoder = new Decoder(), ends = [];
    decoder.feed(data);
    try {
        while (decoder.next() !== undefined) {
            ends.push(decoder.offset);
        }
    } catch (error) {
        assert(error instanceof RecordingError, error);
    }
    return ends;
}

function everyByte(data) {
    return Array.from({ length: Math.max(data.length - 1, 0) }, (_, i) => i + 1);
}

/** Events as JSON texts, those that come with the end, and the error or undefined, of bytes that come in pieces. */
function tell(data, options, cuts = []) {
    const trace = new Trace(options), events = [], last = [];
    try {
        for (const piece of pieces(data, cuts)) {
            for (const event of trace.push(piece)) {
                events.push(asJson(event));
            }
        }
        for (const event of trace.finish()) {
            last.push(asJson(event));
        }
    } catch (error) {
        assert(error instanceof RecordingError, error);
        return { events, last, error: { offset: error.offset, reason: error.reason } };
    }
    return { events, last, error: undefined };
}

function compare({ events, last, error }, expected) {
    const all = [...events, ...last];
    assert.deepEqual(error, expected.error);
    if (all.length <= MANY) {
        assert.deepEqual(all.map((event) => JSON.parse(event)), expected.events);
        return;
    }
    const hash = createHash("sha256");
    all.forEach((event) => hash.update(event + "\n"));
    assert.equal(all.length, expected.count);
    assert.equal(hash.digest("hex"), expected.sha256);
}

function randomCuts(data) {
    const cuts = Array.from({ length: Math.random() * 20 }, () => Math.floor(Math.random() * (data.length + 1)));
    return cuts.sort((a, b) => a - b);
}

for (const { name, data, expected } of vectors) {
    test(`${name}: whole, byte by byte, in random cuts`, () => {
        compare(tell(data, expected.options), expected);
        compare(tell(data, expected.options, everyByte(data)), expected);
        const cuts = randomCuts(data);
        try {
            compare(tell(data, expected.options, cuts), expected);
        } catch (error) {
            error.message += ` cut at ${cuts}`;
            throw error;
        }
    });

    test(`${name}: prefixes`, () => {
        const { events } = tell(data, expected.options), ends = endsOf(data);
        const sizes = Math.max(data.length, events.length) < SMALL ? data.keys()
            : Array.from({ length: 10 }, () => Math.floor(Math.random() * data.length));
        for (const size of sizes) {
            const { events: part, error } = tell(data.subarray(0, size), expected.options);
            assert.deepEqual(part, events.slice(0, part.length));
            if (error !== undefined && isDeepStrictEqual(error, expected.error)) {
                continue;
            }
            const cut = { offset: ends.findLast((end) => end <= size) ?? 0,
                reason: size > 0 ? "a record that is cut off" : "there is nothing in it" };
            assert.deepEqual(error, ends.includes(size) ? undefined : cut, `after ${size} bytes`);
        }
    });

    test(`${name}: records`, () => {
        const whole = new Decoder(), bytewise = new Decoder();
        const take = (decoder, bytes) => {
            try {
                return decoder.push(bytes);
            } catch (error) {
                assert.equal(error.offset, expected.error.offset);
                return [];
            }
        };
        const records = take(whole, data);
        assert.deepEqual(pieces(data, everyByte(data)).flatMap((byte) => take(bytewise, byte)), records);
        for (const decoder of [whole, bytewise]) {
            if (expected.error === undefined || expected.error.reason.match(/repeat|calls|^a line|^a value|^thread/)) {
                assert.equal(decoder.finish(), undefined);
                continue;
            }
            for (const again of [() => decoder.finish(), () => decoder.push(new Uint8Array(0))]) {
                assert.throws(again, { name: "RecordingError", ...expected.error });
            }
        }
    });
}

test("a repeat is unfolded as it is asked for", () => {
    const take = (events, count) => Array.from({ length: count }, () => events.next().value);
    const data = readHex("repeat_huge");
    const trace = new Trace();
    const events = take(trace.push(data), 1000);
    events.push(...take(trace.push(new Uint8Array(0)), 1000)); // the first generator is left as it is
    assert.deepEqual(events, take(new Trace().push(data), 2000));
});

test("what is fed may be used again", () => {
    const data = readHex("every_kind");
    const trace = new Trace();
    const bytes = data.slice();
    const events = trace.push(bytes);
    bytes.fill(0);
    assert.deepEqual([...events], [...new Trace().push(data)]);
});

test("what the web has for bytes is taken, and nothing else", () => {
    const bytes = Uint8Array.from([1, 7, ...new TextEncoder().encode("PADDOCK"), 4, 0, 0]);
    assert.equal(new Decoder().push(bytes.buffer).length, 1);
    assert.equal([...new Trace().push(bytes.buffer)].length, 1);
    for (const wrong of ["text", undefined, [1, 7], new DataView(bytes.buffer)]) {
        assert.throws(() => new Decoder().push(wrong), TypeError);
        assert.throws(() => new Trace().push(wrong), TypeError);
    }
});

test("speed, for whoever wants to know", (context) => {
    const data = readHex("real_loop");
    const began = performance.now();
    let count = 0;
    for (const _ of new Trace().push(data)) {
        count++;
    }
    context.diagnostic(`${Math.round(count / (performance.now() - began) * 1000).toLocaleString("en")} events/s`);
});
