// SPDX-License-Identifier: MIT
/** deploy/clients/recording.js, for the tests. */
export { Decoder, RecordingError, Trace } from "../../deploy/clients/recording.js";

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
