// SPDX-License-Identifier: MIT
/**
 * Tells recordings as deploy/clients/recording.js has them: of each line of hex digits on standard input a line of JSON, with
 * the count of events, the sha256 of them in the form of the vectors, and the error or null. Run by differential_test.py.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { asJson, RecordingError, Trace } from "./load_recording.mjs";

for (const line of readFileSync(0, "utf8").split("\n").slice(0, -1)) {
    const trace = new Trace({ repeats: 0 }), hash = createHash("sha256");
    let count = 0, error = null;
    const take = (events) => {
        for (const event of events) {
            hash.update(asJson(event) + "\n");
            count++;
        }
    };
    try {
        take(trace.push(Buffer.from(line, "hex")));
        take(trace.finish());
    } catch (thrown) {
        if (!(thrown instanceof RecordingError)) { throw thrown; }
        error = { offset: thrown.offset, reason: thrown.reason };
    }
    console.log(JSON.stringify({ count, sha256: hash.digest("hex"), error }));
}
