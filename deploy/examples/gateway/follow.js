// SPDX-License-Identifier: MIT
/**
 * A page's side of the gateway's events: those of a job, each once and in order, up to its result. Runs in a browser, as whoever
 * looks at the page, and trusts the server that it came from.
 *
 * An EventSource comes back by itself where its connection breaks, and says where it was. But any answer other than 200 ends it
 * for good, also the 503 of a gateway whose Redis is away, or on whom too many look. So the job is asked for then, and unless
 * there is none any more another EventSource goes on behind the last event.
 */

const PAUSE_MS = 3000; // on the mean: not all pages come at once

/**
 * @param {string} job its id
 * @param {{state: Function, slice: Function, result: Function, gone: Function}} told what is called with the data of each event
 * of that kind; `gone`, without any, where there is no such job
 * @returns {Function} to call where nobody looks any more: nothing is told from then on
 */
export function follow(job, told) {
    let last = "", left = false, source;

    function open() {
        if (left) { return; }
        source = new EventSource(`jobs/${job}/events` + (last && `?from=${last}`));
        for (const kind of ["state", "slice", "result"]) {
            source.addEventListener(kind, ({ data, lastEventId }) => {
                if (left) { return; }
                last = lastEventId;
                if (kind === "result") { source.close(); }
                told[kind](JSON.parse(data));
            });
        }
        source.addEventListener("error", () => {
            if (source.readyState === EventSource.CLOSED) { comeAgain(); }
        });
    }

    async function comeAgain() {
        const answer = await fetch(`jobs/${job}`).catch(() => null); // null: no connection, as little as before
        if (left) { return; }
        if (answer?.status === 404) { return told.gone(); }
        setTimeout(open, PAUSE_MS * (0.5 + Math.random()));
    }

    open();
    return () => {
        left = true;
        source.close();
    };
}
