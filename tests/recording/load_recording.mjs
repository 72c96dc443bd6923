// SPDX-License-Identifier: MIT
/** deploy/clients/recording.js, for the tests. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

// Imported as text is: no package.json says that the folder's .js files are modules.
const here = path.dirname(fileURLToPath(import.meta.url));
const source = readFileSync(path.join(here, "..", "..", "deploy", "clients", "recording.js"));
export const { Decoder, RecordingError, Trace } = await import(`data:text/javascript;base64,${source.toString("base64")}`);

/** Keys sorted, bytes as hex digits. */
export function asJson(event) {
    return JSON.stringify(event, (_, value) => {
        if (value instanceof Uint8Array) {
            return Buffer.from(value).toString("hex");
        }
        return value === null || typeof value !== "object" || Array.isArray(value) ? value
            : Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
    });
}
