-- SPDX-License-Identifier: MIT
---- the one way to become final ----

-- Its result is told: what is left of the job expires, and what it took is free. That it leaves `open` comes last: if anything
-- goes wrong before, an audit does it again.
local function close(P, id, state, tenant, attempt, bytes, keep_s, now)
  local recorded, was_open = attempt > 0 and note_recording(P, id, now)
  if state == "dead" then
    was_open = redis.call("ZSCORE", P .. "open", id)
    redis.call("UNLINK", P .. "ctl:" .. id)
    bury(P, id, was_open and bytes or 0, now)
  else
    expire_after(P, id, keep_s, now, recorded)
    was_open = redis.call("ZSCORE", P .. "open", id)
    redis.call("UNLINK", P .. "ctl:" .. id, P .. "zip:" .. id, P .. "in:" .. id)
  end
  if was_open then
    count(P, "topen", tenant, -1)
    add(P, "bytes", state == "dead" and 0 or -bytes)
    redis.call("ZREM", P .. "open", id)
    note_open(P, was_open, tenant, -1, -bytes)
  end
end

-- What no relay hears as the answer to a word of its own: jobs that ended while they waited, and attempts whose relay is gone.
-- `verdict`: "" where the job runs again. One relay of each pool fetches these and says them (paddock_tend). Where there are
-- more of a tenant's, or of all, than are kept, the others are counted, by their verdict. (What somebody wrote to Redis himself
-- may have no id: by their tenant, which is never empty, relays tell it from such a count.)
local function note_untold(P, id, attempt, verdict, tenant, detail)
  local name = tenant == "" and "?" or string.gsub(tenant, "[^%w_.:-]", "?")
  local all, own = force("HINCRBY", P .. "untold_by", EVERYBODY, 1), force("HINCRBY", P .. "untold_by", name, 1)
  if all > UNTOLD.at_most or own > UNTOLD.of_tenant then
    count(P, "untold_by", EVERYBODY, -1)
    count(P, "untold_by", name, -1)
    for _, word in ipairs(verdict == "fault" and attempt > 0 and {verdict, ""} or {verdict}) do -- its last attempt was lost, too
      force("HINCRBY", P .. "untold_more", word, 1)
    end
    redis.call("EXPIRE", P .. "untold_more", UNTOLD.keep_s)
  else
    force("LPUSH", P .. "untold", string.sub(id, 1, REASON_AT_MOST), whole(attempt), verdict, name, utf8(string.sub(detail, 1, REASON_AT_MOST)))
    redis.call("EXPIRE", P .. "untold", UNTOLD.keep_s)
    redis.call("EXPIRE", P .. "untold_by", UNTOLD.keep_s)
  end
end

-- result: {name, value ...} with numbers as numbers. Returns its attempt and its tenant.
local function finish(P, id, state, result)
  local known, now = fields(P, id, "line", "attempt", "keep_s", "bytes", "queue_ms", "meta", "tenant", "priority"), now_ms()
  local attempt, bytes = counted(known[2]), counted_bytes(known[4])
  local tenant = place_of(known[1], known[7], known[8])
  local was_running = redis.call("ZREM", P .. "lease", id) == 1
  if was_running then
    stopped(P, tenant)
  end
  local set, object = {"state", state, "ended_ms", whole(now)}, {"kind", "result", "id", id}
  for i = 1, #result, 2 do
    set[#set + 1], set[#set + 2] = result[i], type(result[i + 1]) == "number" and whole(result[i + 1])
                                              or result[i + 1]
    object[#object + 1], object[#object + 2] = result[i], result[i + 1]
  end
  object[#object + 1], object[#object + 2] = "state", state
  object[#object + 1], object[#object + 2] = "attempt", attempt
  object[#object + 1], object[#object + 2] = "queue_ms", counted(known[5])
  if known[6] and known[6] ~= "" and #known[6] <= FIELDS.meta.max then  -- else it is why there is a result, and no part of it
    object[#object + 1], object[#object + 2] = "meta", known[6]
  end
  redis.call("HSET", P .. "job:" .. id, unpack(set))
  tell(P, id, "result", attempt, object)
  close(P, id, state, tenant, attempt, bytes, asked("keep_s", known[3]), now)
  return attempt, tenant
end

-- The result of a job that the queue itself ends: no figures, the sentence of the table. `heard`: a relay is answered so.
local function finish_by_queue(P, id, state, verdict, detail, heard)
  local attempt, tenant = finish(P, id, state, {"verdict", verdict, "exit_code", VERDICTS[verdict].exit_code,
                                                "sentence", VERDICTS[verdict].sentence, "detail", detail})
  if not heard then
    note_untold(P, id, attempt, verdict, tenant, detail)
  end
end

---- given back ----

-- The job waits again, at the front or after a delay, and not for ever.
local function release(P, id, delay)
  local known, now = fields(P, id, "max_wait_s", "line", "tenant", "priority"), now_ms()
  local tenant, class = place_of(known[2], known[3], known[4])
  redis.call("ZREM", P .. "lease", id)
  redis.call("ZADD", P .. "waits", whole(now + delay + asked("max_wait_s", known[1]) * 1000), id)
  redis.call("UNLINK", P .. "ctl:" .. id)
  redis.call("HDEL", P .. "job:" .. id, "token", "owner", "lease_ms")
  redis.call("HSET", P .. "job:" .. id, "state", "queued", "queued_ms", whole(now + delay))
  guard(P, id, math.ceil(delay / 1000) + asked("max_wait_s", known[1]), true)
  stopped(P, tenant)
  if delay > 0 then
    put_off(P, id, now + delay, tenant)
  else
    put_in_line(P, id, true, tenant, class)
  end
end

local backoff, longest_pause
do
  -- After the first loss none: most faults are over by then.
  local function mean_backoff(lost)
    return lost < 2 and 0 or math.min(BACKOFF_MS * 4 ^ math.min(lost - 2, 20), BACKOFF_MOST_MS)
  end

  -- Jobs that were lost together come back apart.
  function backoff(lost)
    local _, micros = now_ms()
    return math.floor(mean_backoff(lost) * (0.75 + micros / 2000))
  end

  -- The longest that a job can be put off.
  function longest_pause(P, id)
    local known = fields(P, id, "lost", "delay_ms")
    local lost = counted(known[1])
    return lost > 0 and math.ceil(mean_backoff(lost) * 1.25) or asked("delay_ms", known[2])
  end
end

-- What is said of an end by the attempt that was the `lost`-th to be lost.
local function ends_of(lost, detail)
  return {cancelled = "cancelled while it ran; " .. detail, dead = "lost " .. whole(lost) .. " times, last: " .. detail}
end

-- An attempt was lost through no fault of the program. Returns queued, dead or cancelled.
local function give_back(P, id, detail, heard)
  local known = fields(P, id, "lost", "cancel", "max_deliveries", "attempt")
  local lost = counted(known[1]) + 1
  redis.call("HSET", P .. "job:" .. id, "lost", whole(lost))
  if known[2] then
    finish_by_queue(P, id, "cancelled", "cancelled", ends_of(lost, detail).cancelled, heard)
    return "cancelled"
  end
  if lost >= math.max(counted(known[3]), 1) then
    finish_by_queue(P, id, "dead", "fault", ends_of(lost, detail).dead, heard)
    return "dead"
  end
  release(P, id, backoff(lost))
  if not heard then
    note_untold(P, id, counted(known[4]), "", (place(P, id)), detail)
  end
  return "queued"
end

-- Is this the attempt that runs? A token that is not the job's belongs to an attempt that was given up.
local function holds(P, id, token)
  local known = fields(P, id, "token", "state")
  return known[1] == token and known[2] == "running"
end
