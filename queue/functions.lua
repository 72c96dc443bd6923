-- SPDX-License-Identifier: MIT
--
-- The queue, as a library of Redis Functions: every change of state is one call, and so one step. The build puts
-- the tables VERSION, FIELDS and VERDICTS in front of this text. Runs inside Redis (Lua 5.1, sandboxed). Callers are
-- clients (enqueue, cancel, input, position), operators (pause, resume, dead letters) and relays; none can name a key
-- of another queue: all keys are made from the one that is passed, paddock:{QUEUE}:open. P is its part before "open".
--
-- What is true of every job at every moment: it is in `open` unless it is final; it is in `lease` if and only if it is
-- running; it stands in `waits`, and in its tenant's line or in `delayed`, if and only if it is queued; it has one
-- `result` entry if and only if it is final. docs/PROTOCOL.md has the keys.
--
-- No call does more than a bounded amount of work, whatever has piled up: what is over is left to the next call. Calls
-- of relays do not fail for what is wrong with one job, for the job would then be in the way of all others.

local CLASSES = {interactive = 0, normal = 1, batch = 2}
local CLASS_NAMES = {[0] = "interactive", "normal", "batch"}
local SPARE_S = 3600           -- how long the keys of a job that nobody tends outlive its times
local REAP_AT_MOST = 20        -- jobs whose time is over, per call and kind
local PROMOTE_AT_MOST = 100    -- delayed jobs per call
local SKIP_AT_MOST = 100       -- tenants without jobs or at their cap, and jobs that cannot run, passed over per claim
local LOOK_AT_MOST = 300       -- open jobs looked at to find the oldest that waits
local REPLACE_AT_MOST = 200    -- jobs that one new one takes the place of
local LEASE_AT_MOST = 60000    -- ms
local ADOPT_AT_MOST = 500      -- jobs of the version before, per claim
local UNCAP_AT_MOST = 100      -- tenants looked at again per claim when the cap was raised
local BACKOFF_MS = 1000        -- before the third attempt; then four times as long each
local BACKOFF_MOST_MS = 60000
local DEAD_AT_MOST = 1000
local DEAD_S = 7 * 86400
local DEAD_SHOWN = 100         -- dead letters per call
local WAKE_TOKENS = 64
local REASON_AT_MOST = 256     -- bytes
local INPUT_AT_MOST = 65536    -- bytes of live input per call
local INPUTS_AT_MOST = 1048576 -- and per job
local ZIP_MB_AT_MOST = 50      -- what a relay can take, whatever is configured
local SMALL_RECORDING = 6144   -- bytes; to cut such a one to its result would free next to nothing
local DEFAULTS = {max_zip_mb = 10, max_jobs = 100000, max_mb = 2048, max_tenant_jobs = 100000, max_tenant_running = 0,
                  weight_interactive = 16, weight_normal = 4, weight_batch = 1, recordings_mb = 1024}

-- What the hash of a job holds beside the fields of FIELDS: what is told of its end, and what the queue needs.
local RESULT = {"verdict", "exit_code", "sentence", "detail", "signal", "call", "where", "max_rss_kb", "shared_kb",
                "memory_kb", "claim", "frames_dropped", "versions", "ended_ms", "started_ms", "queue_ms", "owner",
                "token", "cancel", "held", "recording_cut"}
local OWN = {state = true, attempt = true, lost = true, bytes = true, enqueued_ms = true, max_deliveries = true,
             input_eof = true}

---- small things ----

-- Milliseconds, and the microseconds beside them.
local function now_ms()
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000), time[2] % 1000
end

local function whole(number)
  return string.format("%.0f", number)
end

local CHECKS = {
  text = function(row, value) return #value <= row.max and not string.find(value, "%z") end,
  bytes = function(row, value) return #value <= row.max end,
  name = function(row, value)
    return #value >= row.min and #value <= row.max and not string.find(value, "[^%w_.:-]")
  end,
  choice = function(row, value) return row.choices[value] == true end,
  number = function(row, value)
    return #value <= 18 and string.match(value, "^%d+$") and tonumber(value) >= row.min
           and tonumber(value) <= row.max
  end,
}

-- A command on a key that somebody may have damaged. Returns its reply, or nil if what the key holds does not allow it.
-- All other errors (an ACL that is too narrow) are the caller's to see, and nothing is repaired for their sake.
local DAMAGE = {"WRONGTYPE", "not an integer", "overflow", "equal or smaller", "exhausted"}

local function try(...)
  local reply = redis.pcall(...)
  if type(reply) ~= "table" or not reply.err then
    return reply
  end
  for _, words in ipairs(DAMAGE) do
    if string.find(reply.err, words, 1, true) then
      return nil
    end
  end
  return redis.call(...)
end

-- Fields of a job, read in one call: a list, false where there is none. What stands in the place of a job and is none
-- is removed.
local function fields(P, id, ...)
  local values = try("HMGET", P .. "job:" .. id, ...)
  if not values then
    redis.pcall("UNLINK", P .. "job:" .. id) -- where this is asked by a call that writes nothing, another does it
  end
  return values or {}
end

local function field(P, id, name)
  return fields(P, id, name)[1] or nil
end

-- A count that the library wrote; 0 where it is damaged.
local function counted(value)
  return value and #value <= 15 and string.match(value, "^%d+$") and tonumber(value) or 0
end

-- A number that a client asked for; its default where it is damaged.
local function asked(name, value)
  local row = FIELDS[name]
  return tonumber(value and CHECKS.number(row, value) and value or row.default)
end

local function asked_field(P, id, name)
  return asked(name, field(P, id, name))
end

local function count(P, key, name, by)
  if (try("HINCRBY", P .. key, name, by) or 0) <= 0 then
    redis.call("HDEL", P .. key, name)
  end
end

-- A counter that may have been damaged begins anew.
local function add(P, key, by)
  if by == 0 then
    return -- "-0" is no number to Redis
  end
  if (try("INCRBY", P .. key, whole(by)) or -1) < 0 then
    redis.call("SET", P .. key, "0")
  end
end

local function wake(P)
  if redis.call("LPUSH", P .. "wake", "1") > WAKE_TOKENS then
    redis.call("LTRIM", P .. "wake", 0, WAKE_TOKENS - 1)
  end
end

-- Bytes of a program may be in a text; JSON is UTF-8. What is no UTF-8 becomes '?'.
local function utf8(text)
  if not string.find(text, "[\128-\255]") then
    return text
  end
  local out, i, size = {}, 1, #text
  while i <= size do
    local found
    for _, pattern in ipairs({"^[%z\1-\127]", "^[\194-\223][\128-\191]", "^\224[\160-\191][\128-\191]",
                              "^[\225-\236\238\239][\128-\191][\128-\191]", "^\237[\128-\159][\128-\191]",
                              "^\240[\144-\191][\128-\191][\128-\191]",
                              "^[\241-\243][\128-\191][\128-\191][\128-\191]",
                              "^\244[\128-\143][\128-\191][\128-\191]"}) do
      found = string.match(text, pattern, i)
      if found then break end
    end
    out[#out + 1] = found or "?"
    i = i + (found and #found or 1)
  end
  return table.concat(out)
end

-- A JSON object from {name, value, name, value ...}: the order is kept, and "kind" comes first.
local function json_object(pairs_in_order)
  local parts = {}
  for i = 1, #pairs_in_order, 2 do
    local value = pairs_in_order[i + 1]
    if type(value) == "number" then
      value = whole(value)
    else
      value = cjson.encode(utf8(value))
    end
    parts[#parts + 1] = cjson.encode(pairs_in_order[i]) .. ":" .. value
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- A Stream that takes no entry is none, or was made by somebody else.
local function tell(P, id, kind, attempt, object)
  local entry = {"XADD", P .. "frames:" .. id, "*", "k", kind, "a", whole(attempt), "d", json_object(object)}
  if not try(unpack(entry)) then
    redis.call("UNLINK", entry[2])
    redis.call(unpack(entry))
  end
end

local function printable(name)
  return (string.gsub(string.sub(name, 1, 64), "[^\32-\126]", "?"))
end

local function within(value, least, most, default)
  local number = tonumber(value or "")
  return number and number >= least and number <= most and number or default
end

-- Numbers of the hash `conf`, in one call.
local function configured(P, ...)
  local set, numbers = redis.call("HMGET", P .. "conf", ...), {}
  for i, name in ipairs({...}) do
    numbers[i] = within(set[i], 0, 1e12, DEFAULTS[name])
  end
  return unpack(numbers)
end

---- turns ----

-- A round is a sorted set: whose turn it is, by how much each was served. Who comes (back) takes a place beside the one
-- that was served least. Who is served moves on by the more the less it weighs; of equals the first by name is first.
local function join(round, member)
  if not redis.call("ZSCORE", round, member) then
    local least = redis.call("ZRANGE", round, 0, 0, "WITHSCORES")
    redis.call("ZADD", round, least[2] or 0, member)
  end
end

local function serve(round, member, weight)
  redis.call("ZINCRBY", round, string.format("%.9f", 1 / weight), member)
end

-- Tenants have their turns within a class (`turns0` ...), classes among each other (`turns`). Whose class has a tenant
-- in its round has its own place, too.
local function join_class(P, class, tenant)
  join(P .. "turns" .. class, tenant)
  join(P .. "turns", class)
end

-- A tenant that has as many running as it may is in no round, but in `capped`, with that cap. It comes back as soon as
-- one of them ends.
local function uncap(P, tenant)
  if redis.call("ZREM", P .. "capped", tenant) == 1 then
    for class = 0, 2 do
      if redis.call("EXISTS", P .. "line" .. class .. ":" .. tenant) == 1 then
        join_class(P, class, tenant)
      end
    end
    wake(P)
  end
end

local function running_of(P, tenant)
  return counted(redis.call("HGET", P .. "tact", tenant))
end

-- The operator has raised the cap, or taken it away.
local function uncap_raised(P, cap)
  local below = cap > 0 and "(" .. whole(cap) or "+inf"
  for _, tenant in ipairs(redis.call("ZRANGE", P .. "capped", "-inf", below, "BYSCORE", "LIMIT", 0, UNCAP_AT_MOST)) do
    if cap == 0 or running_of(P, tenant) < cap then
      uncap(P, tenant)
    else
      redis.call("ZADD", P .. "capped", whole(cap), tenant)
    end
  end
end

local function stopped(P, tenant)
  count(P, "tact", tenant, -1)
  uncap(P, tenant)
end

---- waiting ----

-- Where a job waits: its tenant and class.
local function place(P, id)
  local known = fields(P, id, "tenant", "priority")
  return known[1] or "default", CLASSES[known[2] or "normal"] or CLASSES.normal
end

-- Puts a job into its tenant's line: at the end, or (given back) at the front.
local function put_in_line(P, id, front, tenant, class)
  local line, edge = P .. "line" .. class .. ":" .. tenant, front and 0 or -1
  local beside = redis.call("ZRANGE", line, edge, edge, "WITHSCORES")
  redis.call("ZADD", line, beside[2] and whole(beside[2] + (front and -1 or 1)) or 0, id)
  if not redis.call("ZSCORE", P .. "turns" .. class, tenant) and not redis.call("ZSCORE", P .. "capped", tenant) then
    join_class(P, class, tenant)
  end
  wake(P)
end

-- `later:TENANT` is what replace=1 finds a tenant's delayed jobs by. Who sleeps until the one that was due first is woken,
-- to sleep until this one.
local function put_off(P, id, due, tenant)
  redis.call("ZADD", P .. "delayed", whole(due), id)
  if redis.call("ZRANGE", P .. "delayed", 0, 0)[1] == id then
    wake(P)
  end
  redis.call("ZADD", P .. "later:" .. tenant, whole(due), id)
  for _, when in ipairs({"NX", "GT"}) do -- a leak guard: the version before knows nothing of it
    redis.call("EXPIRE", P .. "later:" .. tenant, math.ceil(math.max(due - now_ms(), 0) / 1000) + SPARE_S, when)
  end
end

local function leave_line(P, id)
  local tenant, class = place(P, id)
  redis.call("ZREM", P .. "waits", id)
  if redis.call("ZREM", P .. "delayed", id) == 1 then
    redis.call("ZREM", P .. "later:" .. tenant, id)
  else
    redis.call("ZREM", P .. "line" .. class .. ":" .. tenant, id)
  end
end

-- How many could run now.
local function jobs_waiting(P)
  return redis.call("ZCARD", P .. "open") - redis.call("ZCARD", P .. "lease") - redis.call("ZCARD", P .. "delayed")
end

-- How many wait before it: an estimate, for classes and tenants have their own turns.
local function jobs_ahead(P, id)
  return math.max(redis.call("ZRANK", P .. "open", id) - redis.call("ZCARD", P .. "lease"), 0)
end

---- recordings of jobs that are final ----

-- Each has its size in `recordings_size`, when it ended in `recordings` and, if it expires, when in `recordings_until`;
-- `recordings_bytes` is the sum. What Redis has expired is noticed by its time.
local function forget_recording(P, id)
  local size = redis.call("HGET", P .. "recordings_size", id)
  if size then
    redis.call("HDEL", P .. "recordings_size", id)
    redis.call("ZREM", P .. "recordings", id)
    redis.call("ZREM", P .. "recordings_until", id)
    add(P, "recordings_bytes", -counted(size))
  end
end

local function reap_recordings(P, now)
  for _, id in ipairs(redis.call("ZRANGE", P .. "recordings_until", "-inf", whole(now), "BYSCORE", "LIMIT", 0,
                                 REAP_AT_MOST)) do
    forget_recording(P, id)
  end
end

-- The last entry is the result.
local function cut_recording(P, id)
  if redis.call("ZSCORE", P .. "open", id) then
    return forget_recording(P, id) -- the id has been used again
  end
  try("XTRIM", P .. "frames:" .. id, "MAXLEN", 1)
  if redis.call("TYPE", P .. "job:" .. id).ok == "hash" then
    redis.call("HSET", P .. "job:" .. id, "recording_cut", "1")
  end
  forget_recording(P, id)
end

local function share_recordings(P, now)
  local most = configured(P, "recordings_mb") * 1048576
  reap_recordings(P, now)
  for _ = 1, REAP_AT_MOST do
    if counted(redis.call("GET", P .. "recordings_bytes")) <= most then
      return
    end
    local oldest = redis.call("ZRANGE", P .. "recordings", 0, 0)[1]
    if not oldest then
      return
    end
    cut_recording(P, oldest)
  end
end

-- What Redis itself says that the Stream takes, slices of lost attempts included. Returns whether it counts.
local function note_recording(P, id, now)
  local size = try("MEMORY", "USAGE", P .. "frames:" .. id, "SAMPLES", 0)
  forget_recording(P, id)
  if type(size) ~= "number" or size <= SMALL_RECORDING then
    return false
  end
  redis.call("HSET", P .. "recordings_size", id, whole(size))
  redis.call("ZADD", P .. "recordings", whole(now), id)
  add(P, "recordings_bytes", size)
  share_recordings(P, now)
  return true
end

-- Hash and Stream of a final job; `recorded`: its recording may count.
local function expire_after(P, id, keep_s, now, recorded)
  redis.call("EXPIRE", P .. "job:" .. id, keep_s)
  redis.call("EXPIRE", P .. "frames:" .. id, keep_s)
  if recorded and redis.call("HEXISTS", P .. "recordings_size", id) == 1 then
    redis.call("ZADD", P .. "recordings_until", whole(now + keep_s * 1000), id)
  end
end

---- dead letters ----

-- A dead letter keeps its ZIP, which counts as bytes of the queue, and its input, hash and Stream, until it is dropped.
local function drop_letter(P, id, now)
  local known = fields(P, id, "held", "keep_s")
  redis.call("ZREM", P .. "dead", id)
  redis.call("UNLINK", P .. "zip:" .. id, P .. "in:" .. id)
  if known[1] then
    add(P, "bytes", -counted(known[1]))
    redis.call("HDEL", P .. "job:" .. id, "held")
  end
  expire_after(P, id, asked("keep_s", known[2]), now, true)
end

local function reap_dead(P, now)
  for _, id in ipairs(redis.call("ZRANGE", P .. "dead", "-inf", whole(now - DEAD_S * 1000), "BYSCORE", "LIMIT", 0,
                                 REAP_AT_MOST)) do
    drop_letter(P, id, now)
  end
end

local function bury(P, id, bytes, now)
  redis.call("ZADD", P .. "dead", whole(now), id)
  for _, key in ipairs({"job:", "frames:", "zip:", "in:"}) do
    redis.call("PERSIST", P .. key .. id)
  end
  if redis.call("EXISTS", P .. "zip:" .. id) == 1 then
    redis.call("HSET", P .. "job:" .. id, "held", whole(bytes))
  else
    add(P, "bytes", -bytes)
  end
  local over = math.min(redis.call("ZCARD", P .. "dead") - DEAD_AT_MOST, REAP_AT_MOST)
  for _, oldest in ipairs(over > 0 and redis.call("ZRANGE", P .. "dead", 0, over - 1) or {}) do
    drop_letter(P, oldest, now)
  end
end

---- the one way to become final ----

-- A user who may call the library but not add to a Stream would leave a job final without its result: asked before
-- anything is changed, as an error takes nothing back.
local function must_tell(P, id)
  if not redis.acl_check_cmd("XADD", P .. "frames:" .. id, "*", "k", "result") then
    error({err = "NOPERM the user may not run XADD, by which a result is told"})
  end
end

-- result: {name, value ...} with numbers as numbers. Frees before it writes, so that a full Redis can be drained.
local function finish(P, id, state, result)
  must_tell(P, id)
  local known, now = fields(P, id, "tenant", "attempt", "keep_s", "bytes", "queue_ms", "meta"), now_ms()
  local tenant, attempt, bytes = known[1] or "default", counted(known[2]), counted(known[4])
  local was_running = redis.call("ZREM", P .. "lease", id) == 1
  local was_open = redis.call("ZREM", P .. "open", id) == 1
  if state == "dead" then
    redis.call("UNLINK", P .. "ctl:" .. id)
  else
    redis.call("UNLINK", P .. "ctl:" .. id, P .. "zip:" .. id, P .. "in:" .. id)
  end
  if was_open then
    count(P, "topen", tenant, -1)
  end
  if was_open and state ~= "dead" then
    add(P, "bytes", -bytes)
  end
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
  if known[6] and known[6] ~= "" then
    object[#object + 1], object[#object + 2] = "meta", known[6]
  end
  redis.call("HSET", P .. "job:" .. id, unpack(set))
  tell(P, id, "result", attempt, object)
  local recorded = attempt > 0 and note_recording(P, id, now)
  if state == "dead" then
    bury(P, id, was_open and bytes or 0, now)
  else
    expire_after(P, id, asked("keep_s", known[3]), now, recorded)
  end
end

-- The result of a job that the queue itself ends: no figures, the sentence of the table.
local function finish_by_queue(P, id, state, verdict, detail)
  finish(P, id, state, {"verdict", verdict, "exit_code", VERDICTS[verdict].exit_code,
                        "sentence", VERDICTS[verdict].sentence, "detail", detail})
end

---- given back ----

-- The job waits again, at the front or after a delay, and not for ever.
local function release(P, id, delay)
  local known, now = fields(P, id, "max_wait_s", "tenant"), now_ms()
  redis.call("ZREM", P .. "lease", id)
  redis.call("ZADD", P .. "waits", whole(now + delay + asked("max_wait_s", known[1]) * 1000), id)
  redis.call("UNLINK", P .. "ctl:" .. id)
  redis.call("HDEL", P .. "job:" .. id, "token", "owner")
  redis.call("HSET", P .. "job:" .. id, "state", "queued")
  stopped(P, known[2] or "default")
  if delay > 0 then
    put_off(P, id, now + delay, known[2] or "default")
  else
    put_in_line(P, id, true, place(P, id))
  end
end

-- After the first loss none: most faults are over by then.
local function mean_backoff(lost)
  return lost < 2 and 0 or math.min(BACKOFF_MS * 4 ^ math.min(lost - 2, 20), BACKOFF_MOST_MS)
end

-- Jobs that were lost together come back apart.
local function backoff(lost)
  local _, micros = now_ms()
  return math.floor(mean_backoff(lost) * (0.75 + micros / 2000))
end

-- The longest that a job can be put off.
local function longest_pause(P, id)
  local known = fields(P, id, "lost", "delay_ms")
  local lost = counted(known[1])
  return lost > 0 and math.ceil(mean_backoff(lost) * 1.25) or asked("delay_ms", known[2])
end

-- An attempt was lost through no fault of the program. Returns queued, dead or cancelled.
local function give_back(P, id, detail)
  local known = fields(P, id, "lost", "cancel", "max_deliveries")
  local lost = counted(known[1]) + 1
  redis.call("HSET", P .. "job:" .. id, "lost", whole(lost))
  if known[2] then
    finish_by_queue(P, id, "cancelled", "cancelled", "cancelled while it ran; " .. detail)
    return "cancelled"
  end
  if lost >= math.max(counted(known[3]), 1) then
    finish_by_queue(P, id, "dead", "fault", "lost " .. whole(lost) .. " times, last: " .. detail)
    return "dead"
  end
  release(P, id, backoff(lost))
  return "queued"
end

-- Is this the attempt that runs? A token that is not the job's belongs to an attempt that was given up.
local function holds(P, id, token)
  return redis.call("ZSCORE", P .. "lease", id) and field(P, id, "token") == token
end

---- time passes ----

local function over(P, name, now, most)
  return redis.call("ZRANGE", P .. name, "-inf", whole(now), "BYSCORE", "LIMIT", 0, most)
end

-- A lease has two halves: one until its owner is missed, and one, from the claim on that missed him, in which he can still
-- say that he is there. When Redis itself stood still, or its clock was put on, leases have run out whose owners are as well
-- as ever; and they beat every third of a lease. A score with a fraction is of the second half.
local MISSED = 0.5

local function hold(P, id, now, lease_ms)
  redis.call("ZADD", P .. "lease", whole(now + math.floor(math.min(lease_ms, LEASE_AT_MOST) / 2)), id)
end

local function miss(P, id, now, lease_ms)
  redis.call("ZADD", P .. "lease", string.format("%.1f", now + math.ceil(math.min(lease_ms, LEASE_AT_MOST) / 2) + MISSED), id)
end

-- Idle relays look all the time. So who was missed, and whose time was over long before anybody looked, was missed before
-- the clock was put on; and a lease that ends later than one can was given before it was put back.
local function reap_leases(P, now, lease_ms)
  local past = redis.call("ZRANGE", P .. "lease", "-inf", whole(now), "BYSCORE", "LIMIT", 0, REAP_AT_MOST, "WITHSCORES")
  for i = 1, #past, 2 do
    if past[i + 1] % 1 == MISSED and now - past[i + 1] < LEASE_AT_MOST then
      give_back(P, past[i], "its lease ran out: the worker or its host is gone")
    else
      miss(P, past[i], now, lease_ms)
    end
  end
  for _, id in ipairs(redis.call("ZRANGE", P .. "lease", whole(now + LEASE_AT_MOST), "+inf", "BYSCORE", "LIMIT", 0,
                                 REAP_AT_MOST)) do
    miss(P, id, now, lease_ms)
  end
end

local function expire(P, id)
  finish_by_queue(P, id, "expired", "expired", "waited longer than max_wait_s")
end

-- A queued job's wait is over.
local function reap_waits(P, now)
  for _, id in ipairs(over(P, "waits", now, REAP_AT_MOST)) do
    leave_line(P, id)
    expire(P, id)
  end
end

-- Who cannot be put off for that long was put off before the clock was put back: he is put off anew. Those who are due first
-- are looked at, up to one who is as he should be.
local function put_back(P, now)
  for rank = 0, PROMOTE_AT_MOST - 1 do
    local next_due = redis.call("ZRANGE", P .. "delayed", rank, rank, "WITHSCORES")
    local pause = next_due[1] and longest_pause(P, next_due[1])
    if not pause or next_due[2] - now <= pause then
      return
    end
    put_off(P, next_due[1], now + pause, (place(P, next_due[1])))
  end
end

-- A job that was lost goes to the front: it has had its turn.
local function promote(P, now)
  for _, id in ipairs(over(P, "delayed", now, PROMOTE_AT_MOST)) do
    redis.call("ZREM", P .. "delayed", id)
    redis.call("ZREM", P .. "later:" .. place(P, id), id)
    put_in_line(P, id, counted(field(P, id, "lost")) > 0, place(P, id))
  end
  put_back(P, now)
end

-- The version before this had lists in the place of lines (`tCLASS:TENANT`), and rounds of other names. What it has
-- left there joins the end of the lines.
local function adopt(P)
  local room = ADOPT_AT_MOST
  for class = 0, 2 do
    for _, tenant in ipairs(redis.call("ZRANGE", P .. "rr" .. class, 0, SKIP_AT_MOST - 1)) do
      local ids = room > 0 and try("RPOP", P .. "t" .. class .. ":" .. tenant, room) or {}
      for _, id in ipairs(ids) do
        put_in_line(P, id, false, place(P, id))
      end
      if redis.call("EXISTS", P .. "t" .. class .. ":" .. tenant) == 0 then
        redis.call("ZREM", P .. "rr" .. class, tenant)
      end
      room = room - #ids
    end
  end
end

---- enqueue ----

-- Returns the job's fields with every default, or nil and an error.
local function read_fields(args)
  local job = {}
  for name, row in pairs(FIELDS) do
    job[name] = row.default
  end
  if #args % 2 == 0 then
    return nil, "BADFIELD " .. printable(args[#args]) .. ": has no value"
  end
  for i = 4, #args, 2 do
    local name, value = args[i], args[i + 1]
    local row = FIELDS[name]
    if not row then
      return nil, "BADFIELD " .. printable(name) .. ": there is no such field"
    end
    if not CHECKS[row.type](row, value) then
      return nil, "BADFIELD " .. name .. ": takes " .. row.takes
    end
    job[name] = value
  end
  if job.encoding == "json" and job.trace ~= "off" and job.trace ~= "calls" then
    return nil, "BADFIELD encoding: json goes with trace off or calls"
  end
  return job
end

-- What is `spared` is about to be cancelled, and counts no more: {jobs, bytes}.
local function full(P, tenant, size, spared)
  local jobs, mb, of_tenant = configured(P, "max_jobs", "max_mb", "max_tenant_jobs")
  if redis.call("ZCARD", P .. "open") - spared.jobs >= jobs then
    return "jobs"
  end
  if counted(redis.call("GET", P .. "bytes")) + size - spared.bytes > mb * 1048576 then
    return "bytes"
  end
  if counted(redis.call("HGET", P .. "topen", tenant)) - spared.jobs >= of_tenant then
    return "tenant"
  end
end

-- Dead letters give way to jobs, the oldest first. Returns false if there is none.
local function drop_oldest(P)
  local oldest = redis.call("ZRANGE", P .. "dead", 0, 0)[1]
  if oldest then
    drop_letter(P, oldest, now_ms())
  end
  return oldest ~= nil
end

-- The upload is not there: Redis had no room for it, or would have none for a large one.
local function out_of_memory(most)
  local info = try("INFO", "memory")
  if type(info) ~= "string" then
    return false
  end
  local used = tonumber(string.match(info, "\nused_memory:(%d+)") or 0)
  local maximum = tonumber(string.match(info, "\nmaxmemory:(%d+)") or 0)
  return maximum > 0 and used + most >= maximum
end

-- The tenant's queued jobs that a job with replace=1 takes the place of. What the version before has cancelled, or begun,
-- may still stand in line, or among what is put off.
local function replaced_by(P, job)
  local found = {jobs = 0, bytes = 0, ids = {}}
  if job.replace ~= "1" then
    return found
  end
  for _, name in ipairs({"line0:", "line1:", "line2:", "later:"}) do
    local room = REPLACE_AT_MOST - found.jobs
    for _, id in ipairs(room > 0 and redis.call("ZRANGE", P .. name .. job.tenant, 0, room - 1) or {}) do
      if redis.call("ZSCORE", P .. "waits", id) then
        found.jobs = found.jobs + 1
        found.ids[found.jobs] = id
        found.bytes = found.bytes + counted(field(P, id, "bytes"))
      else
        redis.call("ZREM", P .. name .. job.tenant, id)
      end
    end
  end
  return found
end

local function cancel_queued(P, id, detail)
  leave_line(P, id)
  finish_by_queue(P, id, "cancelled", "cancelled", detail)
end

-- A leak guard, and no more: it is `waits` that ends a wait.
local function guard(P, id, seconds, has_input)
  redis.call("EXPIRE", P .. "zip:" .. id, seconds + SPARE_S)
  if has_input then
    redis.call("EXPIRE", P .. "in:" .. id, seconds + SPARE_S)
  end
end

local function store(P, id, upload, job, size, now)
  local set = {"state", "queued", "attempt", "0", "lost", "0", "bytes", whole(size),
               "enqueued_ms", whole(now)}
  for name, value in pairs(job) do
    set[#set + 1], set[#set + 2] = name, value
  end
  redis.call("DEL", P .. "frames:" .. id, P .. "in:" .. id, P .. "job:" .. id)
  redis.call("RENAME", upload, P .. "zip:" .. id)
  guard(P, id, tonumber(job.max_wait_s) + math.ceil(job.delay_ms / 1000), false)
  redis.call("HSET", P .. "job:" .. id, unpack(set))
  add(P, "bytes", size)
end

-- The stored job begins to wait.
local function open(P, id, job, now)
  redis.call("ZADD", P .. "open", whole(now), id)
  count(P, "topen", job.tenant, 1)
  redis.call("ZADD", P .. "waits", whole(now + job.delay_ms + job.max_wait_s * 1000), id)
  if tonumber(job.delay_ms) > 0 then
    put_off(P, id, now + job.delay_ms, job.tenant)
  else
    put_in_line(P, id, false, job.tenant, CLASSES[job.priority])
  end
  return "queued " .. whole(redis.call("ZCARD", P .. "open") - redis.call("ZCARD", P .. "lease") - 1)
end

local function enqueue(P, args)
  local id = args[1] or ""
  if not string.match(id, "^[%w_-]+$") or #id > 64 then
    return redis.error_reply("BADFIELD id: takes 1 to 64 letters, digits, _ and -")
  end
  if args[2] ~= "upload" or not string.match(args[3] or "", "^[%w_-]+$") then
    return redis.error_reply("BADFIELD upload: takes the RANDOM of the uploaded key up:RANDOM")
  end
  local upload = P .. "up:" .. args[3]
  local known = field(P, id, "state")
  if known then
    redis.call("UNLINK", upload)
    return redis.status_reply("duplicate " .. known)
  end
  local job, problem = read_fields(args)
  if not job then
    redis.call("UNLINK", upload)
    return redis.error_reply(problem)
  end
  local most = math.min(configured(P, "max_zip_mb"), ZIP_MB_AT_MOST) * 1048576
  local size = redis.call("STRLEN", upload)
  if size == 0 and redis.call("EXISTS", upload) == 0 then
    if out_of_memory(most) then
      drop_oldest(P)
      return redis.status_reply("full memory 1000")
    end
    return redis.error_reply("NOUPLOAD " .. args[3])
  end
  if size > most then
    redis.call("UNLINK", upload)
    return redis.error_reply("TOOBIG " .. whole(most))
  end
  local replaced = replaced_by(P, job)
  local reason = full(P, job.tenant, size, replaced)
  for _ = 1, REAP_AT_MOST do
    if reason ~= "bytes" or not drop_oldest(P) then
      break
    end
    reason = full(P, job.tenant, size, replaced)
  end
  if reason then
    redis.call("UNLINK", upload)
    return redis.status_reply("full " .. reason .. " 1000")
  end
  for _, old in ipairs(replaced.ids) do
    cancel_queued(P, old, "replaced by " .. id)
  end
  local now = now_ms()
  store(P, id, upload, job, size, now)
  return redis.status_reply(open(P, id, job, now))
end

---- claim ----

local function is_known(name)
  if FIELDS[name] or OWN[name] then
    return true
  end
  for _, known in ipairs(RESULT) do
    if name == known then
      return true
    end
  end
  return false
end

-- Whether a job can be run, whatever was done to its keys. Returns its fields, those that came with a later version
-- with their defaults; or nil and why not.
local function examine(P, id, class, tenant)
  local flat = try("HGETALL", P .. "job:" .. id)
  if not flat or #flat == 0 then
    return nil, flat and "its fields are gone" or "what stands in its place is not a job"
  end
  local job = {}
  for i = 1, #flat, 2 do
    if not is_known(flat[i]) then
      return nil, "there is no field " .. printable(flat[i])
    end
    job[flat[i]] = flat[i + 1]
  end
  for _, name in ipairs({"tenant", "priority"}) do
    if not job[name] then
      return nil, "its field " .. name .. " is missing"
    end
  end
  for name, row in pairs(FIELDS) do
    job[name] = job[name] or row.default
    if job[name] ~= row.default and not CHECKS[row.type](row, job[name]) then
      return nil, "its field " .. name .. " takes " .. row.takes
    end
  end
  if job.tenant ~= tenant or CLASSES[job.priority] ~= class then
    return nil, "its tenant or priority is not the one it has waited with"
  end
  local kind = redis.call("TYPE", P .. "zip:" .. id).ok
  if kind ~= "string" then
    return nil, kind == "none" and "its ZIP is missing" or "what stands in the place of its ZIP is a " .. kind
  end
  return job
end

-- The job was counted with the tenant in whose line it stood.
local function bury_malformed(P, id, class, tenant, reason)
  fields(P, id, "state")
  redis.call("HSET", P .. "job:" .. id, "tenant", tenant, "priority", CLASS_NAMES[class])
  finish_by_queue(P, id, "dead", "fault", "it cannot be run: " .. reason)
end

-- Takes an id that stood in line. Returns the job if it is to run.
local function take(P, id, class, tenant, now)
  local wait = redis.call("ZSCORE", P .. "waits", id)
  local job, problem = examine(P, id, class, tenant)
  local state = job and job.state or field(P, id, "state")
  redis.call("ZREM", P .. "waits", id)
  if not wait and state and state ~= "queued" then
    return nil -- somebody else's doing: it stands where it did not wait
  end
  if wait and tonumber(wait) <= now then
    expire(P, id)
    return nil
  end
  if not job then
    bury_malformed(P, id, class, tenant, problem)
  end
  return job
end

local function next_in_line(P, class, tenant)
  local line = P .. "line" .. class .. ":" .. tenant
  local popped = try("ZPOPMIN", line)
  if not popped then
    redis.call("UNLINK", line)
  end
  return popped and popped[1]
end

-- Whose turn it is: a class, then a tenant of it, then its job. Returns the id and the job, or nil if nobody waits.
-- Whoever has nothing to run keeps its place until its turn comes: who left at once and returned at the front would be
-- served before those who always wait.
local function next_job(P, now, cap, weights)
  for _ = 1, SKIP_AT_MOST do
    local class = tonumber(redis.call("ZRANGE", P .. "turns", 0, 0)[1])
    if not class then
      return nil
    end
    local round = P .. "turns" .. class
    local tenant = redis.call("ZRANGE", round, 0, 0)[1]
    if not tenant then
      redis.call("ZREM", P .. "turns", class)
    elseif cap > 0 and running_of(P, tenant) >= cap then
      redis.call("ZREM", round, tenant)
      redis.call("ZADD", P .. "capped", whole(cap), tenant)
    else
      local id = next_in_line(P, class, tenant)
      local job = id and take(P, id, class, tenant, now)
      if job then
        serve(round, tenant, within(redis.call("HGET", P .. "weights", tenant), 1, 100, 1))
        serve(P .. "turns", class, within(weights[class], 1, 100, 1))
        return id, job
      elseif not id then
        redis.call("ZREM", round, tenant)
      end
    end
  end
  wake(P) -- the rest is the next claim's
end

-- Returns the first fields of the claim's answer.
local function start(P, id, job, owner, lease_ms, max_deliveries, now)
  local attempt = counted(job.attempt) + 1
  local token = owner .. ":" .. whole(now) .. ":" .. whole(attempt)
  local queue_ms = math.max(now - counted(job.enqueued_ms) - job.delay_ms, 0)
  local wall_s = math.ceil(job.wall_ms / 1000)
  hold(P, id, now, lease_ms)
  count(P, "tact", job.tenant, 1)
  redis.call("HSET", P .. "job:" .. id, "state", "running", "owner", owner, "token", token, "started_ms",
             whole(now), "queue_ms", whole(queue_ms), "max_deliveries", whole(max_deliveries), "attempt",
             whole(attempt))
  tell(P, id, "state", attempt, {"kind", "state", "state", "running", "attempt", attempt, "time_ms", now,
                                 "queue_ms", queue_ms})
  redis.call("EXPIRE", P .. "frames:" .. id, wall_s + job.keep_s + SPARE_S)
  guard(P, id, wall_s + job.max_wait_s, job.live_input == "1")
  return {"id", id, "token", token, "attempt", whole(attempt), "queue_ms", whole(queue_ms)}
end

-- What most claims find nothing of, by one look. Returns whether the queue is paused.
local function tend_rarities(P, now, cap)
  if redis.call("EXISTS", P .. "delayed", P .. "capped", P .. "dead", P .. "recordings_until", P .. "paused",
                P .. "rr0", P .. "rr1", P .. "rr2") == 0 then
    return false
  end
  promote(P, now)
  uncap_raised(P, cap)
  reap_dead(P, now)
  reap_recordings(P, now)
  adopt(P)
  return redis.call("EXISTS", P .. "paused") == 1
end

-- The answer of a claim that finds no job, for a caller that wants to know: how long nothing will be due.
local function nothing(P, now, wanted)
  local due = math.huge
  for _, name in ipairs(wanted and {"delayed", "lease", "waits"} or {}) do
    due = math.min(due, tonumber(redis.call("ZRANGE", P .. name, 0, 0, "WITHSCORES")[2]) or due)
  end
  return due < math.huge and {"idle_ms", whole(math.max(due - now, 0) + 1)} or {}
end

local function claim(P, args)
  local owner, now = args[1], now_ms()
  local lease_ms, max_deliveries = tonumber(args[2]), tonumber(args[3])
  reap_leases(P, now, lease_ms)
  reap_waits(P, now)
  local cap, interactive, normal, batch = configured(P, "max_tenant_running", "weight_interactive", "weight_normal",
                                                     "weight_batch")
  if tend_rarities(P, now, cap) then
    return {}
  end
  local id, job = next_job(P, now, cap, {[0] = interactive, normal, batch})
  if not id then
    return nothing(P, now, args[4])
  end
  local answer = start(P, id, job, owner, lease_ms, max_deliveries, now)
  answer[#answer + 1], answer[#answer + 2] = "waiting", whole(jobs_waiting(P))
  for name in pairs(FIELDS) do
    answer[#answer + 1], answer[#answer + 2] = name, job[name]
  end
  return answer
end

---- while it runs ----

local function beat(P, args)
  local id, token = args[1], args[2]
  if not holds(P, id, token) then
    return redis.status_reply("lost")
  end
  hold(P, id, now_ms(), tonumber(args[3]))
  return redis.status_reply(field(P, id, "cancel") and "cancel" or "ok")
end

local NUMBERS = {exit_code = true, signal = true, cpu_ms = true, wall_ms = true, max_rss_kb = true, shared_kb = true,
                 memory_kb = true, frames_dropped = true}

-- How long a job runs, of late: for paddock_position.
local function learn_pace(P, wall_ms)
  local mean = tonumber(redis.call("GET", P .. "pace") or wall_ms)
  redis.call("SET", P .. "pace", whole(mean + (wall_ms - mean) / 8), "EX", 86400)
end

local function finish_running(P, args)
  local id, token = args[1], args[2]
  if not holds(P, id, token) then
    return redis.status_reply("stale")
  end
  local result, state = {}, "done"
  for i = 3, #args - 1, 2 do
    result[#result + 1] = args[i]
    result[#result + 1] = NUMBERS[args[i]] and (tonumber(args[i + 1]) or 0) or args[i + 1]
    if args[i] == "verdict" and args[i + 1] == "cancelled" then
      state = "cancelled"
    end
    if args[i] == "wall_ms" then
      learn_pace(P, tonumber(args[i + 1]) or 0)
    end
  end
  finish(P, id, state, result)
  return redis.status_reply("done")
end

local function lost(P, args)
  local id, token = args[1], args[2]
  if not holds(P, id, token) then
    return redis.status_reply("stale")
  end
  return redis.status_reply(give_back(P, id, args[3] or "no reason given"))
end

local function requeue(P, args)
  local id, token = args[1], args[2]
  if not holds(P, id, token) then
    return redis.status_reply("stale")
  end
  if field(P, id, "cancel") then
    finish_by_queue(P, id, "cancelled", "cancelled", "cancelled while it ran")
    return redis.status_reply("cancelled")
  end
  release(P, id, 0)
  return redis.status_reply("queued")
end

-- Live input from an offset on: {bytes, 1 if there are more of them, 1 if these end it}.
local function input_from(P, args)
  local id, offset, most = args[1], tonumber(args[2]), tonumber(args[3])
  local bytes = redis.call("GETRANGE", P .. "in:" .. id, whole(offset), whole(offset + most - 1))
  local more = redis.call("STRLEN", P .. "in:" .. id) > offset + #bytes
  return {bytes, more and 1 or 0, (not more and field(P, id, "input_eof")) and 1 or 0}
end

local function recover(P, args)
  local owner, found = args[1], {}
  for _, id in ipairs(redis.call("ZRANGE", P .. "lease", 0, -1)) do
    if field(P, id, "owner") == owner then
      give_back(P, id, "its worker process ended")
      found[#found + 1] = id
    end
  end
  return found
end

---- clients ----

local function cancel(P, args)
  local id = args[1] or ""
  local state = field(P, id, "state")
  if not state then
    return redis.status_reply("unknown")
  end
  if state == "queued" then
    cancel_queued(P, id, "cancelled while it waited")
    return redis.status_reply("cancelled")
  end
  if state == "running" then
    redis.call("HSET", P .. "job:" .. id, "cancel", "1")
    redis.call("LPUSH", P .. "ctl:" .. id, "cancel")
    redis.call("EXPIRE", P .. "ctl:" .. id, 600)
    return redis.status_reply("requested")
  end
  return redis.status_reply("final")
end

-- Why a job takes no such input; nil if it does.
local function refuse_input(P, id, size)
  local state = field(P, id, "state")
  if not state then
    return "unknown"
  end
  if state ~= "queued" and state ~= "running" then
    return "final"
  end
  if field(P, id, "live_input") ~= "1" then
    return "refused"
  end
  if field(P, id, "input_eof") then
    return "closed"
  end
  if redis.call("STRLEN", P .. "in:" .. id) + size > INPUTS_AT_MOST then
    return "full"
  end
end

-- One word is enough, however much came since the relay has looked.
local function tell_of_input(P, id)
  if not redis.call("LPOS", P .. "ctl:" .. id, "input") then
    redis.call("RPUSH", P .. "ctl:" .. id, "input")
    redis.call("EXPIRE", P .. "ctl:" .. id, 600)
  end
end

-- All of it is kept until the job is final: every attempt reads it from its start, as it does `stdin`.
local function input(P, args)
  local id, bytes, word = args[1] or "", args[2] or "", args[3]
  if #bytes > INPUT_AT_MOST then
    return redis.error_reply("TOOBIG " .. whole(INPUT_AT_MOST))
  end
  if word and word ~= "eof" then
    return redis.error_reply("BADFIELD " .. printable(word) .. ": behind the text stands eof, or nothing")
  end
  local refusal = refuse_input(P, id, #bytes)
  if refusal then
    return redis.status_reply(refusal)
  end
  if #bytes > 0 then
    redis.call("APPEND", P .. "in:" .. id, bytes)
    redis.call("EXPIRE", P .. "in:" .. id, math.ceil((asked_field(P, id, "delay_ms") + asked_field(P, id, "wall_ms"))
                                                     / 1000) + asked_field(P, id, "max_wait_s") + SPARE_S)
  end
  if word then
    redis.call("HSET", P .. "job:" .. id, "input_eof", "1")
  end
  if field(P, id, "state") == "queued" then
    return redis.status_reply("queued")
  end
  tell_of_input(P, id)
  return redis.status_reply("ok")
end

-- {jobs ahead, expected wait in ms}; {-1, 0} for a job that is final or unknown.
local function position(P, args)
  local id = args[1] or ""
  if not redis.call("ZSCORE", P .. "open", id) then
    return {-1, 0}
  end
  if redis.call("ZSCORE", P .. "lease", id) then
    return {0, 0}
  end
  local ahead = jobs_ahead(P, id)
  local at_once = math.max(redis.call("ZCARD", P .. "lease"), 1)
  local wait = math.ceil(ahead * tonumber(redis.call("GET", P .. "pace") or 0) / at_once)
  local due = redis.call("ZSCORE", P .. "delayed", id)
  return {ahead, due and math.max(wait, tonumber(due) - now_ms()) or wait}
end

-- {jobs that could run now, jobs that run, oldest wait in ms}.
local function depth(P)
  local running = redis.call("ZCARD", P .. "lease")
  local waiting = jobs_waiting(P)
  local oldest = waiting > 0 and redis.call("ZRANGE", P .. "open", 0, LOOK_AT_MOST - 1, "WITHSCORES") or {}
  for i = 1, #oldest, 2 do
    if not redis.call("ZSCORE", P .. "lease", oldest[i]) and not redis.call("ZSCORE", P .. "delayed", oldest[i]) then
      return {waiting, running, math.max(now_ms() - tonumber(oldest[i + 1]), 0)}
    end
  end
  return {waiting, running, 0}
end

-- {name, value ...}: how full the queue is, and what is in the way of its jobs.
local function status(P)
  local answer, depths = {"queue", string.match(P, "{(.*)}")}, depth(P)
  for i, name in ipairs({"waiting", "running", "oldest_ms"}) do
    answer[#answer + 1], answer[#answer + 2] = name, depths[i]
  end
  for _, name in ipairs({"delayed", "capped", "dead"}) do
    answer[#answer + 1], answer[#answer + 2] = name, redis.call("ZCARD", P .. name)
  end
  for _, name in ipairs({"bytes", "recordings_bytes"}) do
    answer[#answer + 1], answer[#answer + 2] = name, counted(redis.call("GET", P .. name))
  end
  local reason = redis.call("GET", P .. "paused")
  if reason then
    answer[#answer + 1], answer[#answer + 2] = "paused", reason
  end
  return answer
end

local function version()
  return VERSION
end

---- operators ----

local function pause(P, args)
  local reason = utf8(args[1] or "")
  if #reason > REASON_AT_MOST or string.find(reason, "%z") then
    return redis.error_reply("BADFIELD reason: takes a text of at most " .. REASON_AT_MOST .. " bytes")
  end
  redis.call("SET", P .. "paused", reason)
  return redis.status_reply("paused")
end

local function resume(P)
  if redis.call("DEL", P .. "paused") == 0 then
    return redis.status_reply("running")
  end
  for _ = 1, math.min(jobs_waiting(P), WAKE_TOKENS) do
    wake(P)
  end
  return redis.status_reply("resumed")
end

-- Dead letters, the newest first, from an offset on: {id, when in ms, tenant, detail} each.
local function dead(P, args)
  local offset = within(args[1], 0, DEAD_AT_MOST, 0)
  local most = within(args[2], 0, DEAD_SHOWN, DEAD_SHOWN)
  local found = redis.call("ZRANGE", P .. "dead", whole(offset), whole(offset + most - 1), "REV", "WITHSCORES")
  local answer = {}
  for i = 1, most > 0 and #found or 0, 2 do
    local known = fields(P, found[i], "tenant", "detail")
    answer[#answer + 1] = {found[i], tonumber(found[i + 1]), known[1] or "", known[2] or ""}
  end
  return answer
end

-- As if it had just been enqueued, at the end of its line. What it left is gone: a job has one result.
local function dead_requeue(P, args)
  local id, nothing = args[1] or "", {jobs = 0, bytes = 0}
  if not redis.call("ZSCORE", P .. "dead", id) then
    return redis.status_reply("unknown")
  end
  if redis.call("EXISTS", P .. "zip:" .. id) == 0 then
    return redis.status_reply("gone")
  end
  local reason = full(P, place(P, id), 0, nothing)
  if reason then
    return redis.status_reply("full " .. reason .. " 1000")
  end
  local now = now_ms()
  redis.call("ZREM", P .. "dead", id)
  redis.call("UNLINK", P .. "frames:" .. id)
  forget_recording(P, id)
  redis.call("HDEL", P .. "job:" .. id, unpack(RESULT))
  redis.call("HSET", P .. "job:" .. id, "state", "queued", "lost", "0", "delay_ms", "0", "enqueued_ms", whole(now))
  local tenant, class = place(P, id)
  local job = {tenant = tenant, priority = CLASS_NAMES[class], delay_ms = 0,
               max_wait_s = asked_field(P, id, "max_wait_s")}
  guard(P, id, job.max_wait_s, true)
  return redis.status_reply(open(P, id, job, now))
end

local function dead_drop(P, args)
  local id, now = args[1] or "", now_ms()
  local ids = id == "*" and redis.call("ZRANGE", P .. "dead", 0, DEAD_AT_MOST - 1) or {id}
  if id ~= "*" and not redis.call("ZSCORE", P .. "dead", id) then
    return 0
  end
  for _, letter in ipairs(ids) do
    drop_letter(P, letter, now)
  end
  return #ids
end

---- registration ----

local function register(name, callback, ...)
  local function checked(keys, args)
    local P = string.match(keys[1] or "", "^(paddock:{[%w_.-]*}:)open$")
    if not P then
      return redis.error_reply("BADKEY the one key is paddock:{QUEUE}:open")
    end
    return callback(P, args)
  end
  redis.register_function({function_name = "paddock_" .. name, callback = checked, flags = {...}})
end

-- Without allow-oom Redis itself answers -OOM, as it does to input, when its memory is used up. All else goes on, so
-- that what is queued can be run and freed; an enqueue uses memory that its upload was granted.
register("enqueue", enqueue, "allow-oom")
register("claim", claim, "allow-oom")
register("cancel", cancel, "allow-oom")
register("input", input)
register("input_from", input_from, "no-writes")
register("beat", beat, "allow-oom")
register("finish", finish_running, "allow-oom")
register("lost", lost, "allow-oom")
register("requeue", requeue, "allow-oom")
register("recover", recover, "allow-oom")
register("position", position, "no-writes")
register("depth", depth, "no-writes")
register("status", status, "no-writes")
register("pause", pause, "allow-oom")
register("resume", resume, "allow-oom")
register("dead", dead, "no-writes")
register("dead_requeue", dead_requeue, "allow-oom")
register("dead_drop", dead_drop, "allow-oom")
register("version", version, "no-writes")
