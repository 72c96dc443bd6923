#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Follows a job with redis-cli and jq alone: follow.sh QUEUE JOB [OPTION OF redis-cli ...]. Prints its states, the records
# of its recording (as `encoding=json` has them) and its result, one object a line, as they come. Exit code 1 where there is
# no such job, or its recording is binary. docs/PROTOCOL.md, "Follow".
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: follow.sh QUEUE JOB [OPTION OF redis-cli ...]" >&2
    exit 2
fi
prefix="paddock:{$1}:" job=$2
shift 2

# A recording that is not of lines takes a decoder (deploy/clients/recording.js, recording.py).
check_encoding() {
    [ "$(redis-cli -e "$@" HGET "${prefix}job:$job" encoding)" != binary ] || {
        echo "follow.sh: the recording of job $job is binary: this reads those of jobs with encoding=json" >&2
        return 1
    }
}

# What XREAD answers, until the result has come; or nothing more, where there is no such job.
replies() {
    last=0-0 over=false
    while [ "$over" = false ]; do
        reply=$(redis-cli -e --json "$@" XREAD BLOCK 5000 STREAMS "${prefix}frames:$job" "$last")
        if [ "$reply" = null ]; then
            [ "$(redis-cli -e "$@" EXISTS "${prefix}job:$job")" = 1 ] || {
                echo "follow.sh: there is no job $job" >&2
                return 1
            }
            continue
        fi
        [ "$last" != 0-0 ] || check_encoding "$@"
        printf '%s\n' "$reply"
        last=$(printf '%s' "$reply" | jq -r '[.[][][0]] | last')
        over=$(printf '%s' "$reply" | jq 'any(.[][][1]; .[1] == "result")')
    done
}

# Slices of another attempt than that of the last state are passed over.
replies "$@" | jq --unbuffered -nr '
    foreach (inputs[][][1] | {kind: .[1], attempt: .[3], data: .[5]}) as $entry (null;
        if $entry.kind == "state" then $entry.attempt else . end;
        select($entry.kind != "slice" or $entry.attempt == .) | $entry.data | rtrimstr("\n"))'
