#!lua name=paddock
local VERSION = 4

local FIELDS = {
  ["entry"] = {type = "text", min = 0, max = 256, default = "", takes = "a text of at most 256 bytes"},
  ["argv"] = {type = "text", min = 0, max = 16384, default = "", takes = "a text of at most 16384 bytes"},
  ["stdin"] = {type = "bytes", min = 0, max = 1048576, default = "", takes = "a text of at most 1048576 bytes"},
  ["live_input"] = {type = "number", min = 0, max = 1, default = "0", takes = "a whole number from 0 to 1"},
  ["source"] = {type = "choice", min = 0, max = 0, default = "zip", choices = {["zip"] = true, ["py"] = true, }, takes = "one of: zip py"},
  ["trace"] = {type = "choice", min = 0, max = 0, default = "off", choices = {["off"] = true, ["calls"] = true, ["lines"] = true, ["steps"] = true, }, takes = "one of: off calls lines steps"},
  ["encoding"] = {type = "choice", min = 0, max = 0, default = "binary", choices = {["binary"] = true, ["json"] = true, }, takes = "one of: binary json"},
  ["tabs"] = {type = "choice", min = 0, max = 0, default = "strict", choices = {["strict"] = true, ["8"] = true, }, takes = "one of: strict 8"},
  ["tenant"] = {type = "name", min = 1, max = 64, default = "default", takes = "a name of at most 64 letters, digits and _.:-"},
  ["priority"] = {type = "choice", min = 0, max = 0, default = "normal", choices = {["interactive"] = true, ["normal"] = true, ["batch"] = true, }, takes = "one of: interactive normal batch"},
  ["meta"] = {type = "text", min = 0, max = 4096, default = "", takes = "a text of at most 4096 bytes"},
  ["cpu_ms"] = {type = "number", min = 10, max = 600000, default = "5000", takes = "a whole number from 10 to 600000"},
  ["wall_ms"] = {type = "number", min = 10, max = 3600000, default = "10000", takes = "a whole number from 10 to 3600000"},
  ["memory_mb"] = {type = "number", min = 16, max = 65536, default = "256", takes = "a whole number from 16 to 65536"},
  ["output_kb"] = {type = "number", min = 1, max = 1048576, default = "1024", takes = "a whole number from 1 to 1048576"},
  ["recording_kb"] = {type = "number", min = 64, max = 1048576, default = "2048", takes = "a whole number from 64 to 1048576"},
  ["delay_ms"] = {type = "number", min = 0, max = 604800000, default = "0", takes = "a whole number from 0 to 604800000"},
  ["max_wait_s"] = {type = "number", min = 1, max = 604800, default = "600", takes = "a whole number from 1 to 604800"},
  ["keep_s"] = {type = "number", min = 1, max = 2592000, default = "3600", takes = "a whole number from 1 to 2592000"},
}

local VERDICTS = {
  ["ok"] = {exit_code = 0, sentence = "Your program ran to its end."},
  ["exit"] = {exit_code = -1, sentence = "Your program ended itself with exit({exit_code})."},
  ["exception"] = {exit_code = 1, sentence = "Your program stopped with an error: {report}. The last lines of its output show where."},
  ["compile_error"] = {exit_code = 1, sentence = "Python cannot read your program: {report}. Look at that line and the one above it."},
  ["bad_zip"] = {exit_code = 80, sentence = "The ZIP cannot be used: {report}"},
  ["no_entry"] = {exit_code = 81, sentence = "{report}"},
  ["match_over"] = {exit_code = 82, sentence = "The match is over."},
  ["cpu_limit"] = {exit_code = 83, sentence = "Your program used more than {cpu} of computing time and was stopped. Look for a loop that never ends."},
  ["wall_limit"] = {exit_code = 84, sentence = "Your program was not finished after {wall} and was stopped. Look for long sleeps, or for something that it waits for in vain."},
  ["memory_limit"] = {exit_code = 85, sentence = "Your program needed more than the {memory} of memory that it may use. Look for a list or a text that grows without end, or a function that calls itself."},
  ["output_limit"] = {exit_code = 86, sentence = "Your program printed more than {output} and was stopped. Print less, or less often; all it printed before is kept."},
  ["forbidden"] = {exit_code = 87, sentence = "Your program made a call that Paddock does not allow ({call}) and was stopped. Programs here cannot reach the machine that they run on."},
  ["crashed"] = {exit_code = 88, sentence = "Python itself crashed while it ran your program. Very deep recursion is the usual cause."},
  ["vanished"] = {exit_code = 89, sentence = "Your program ended itself without coming to its end. os._exit() does that: use exit() instead."},
  ["cancelled"] = {exit_code = 90, sentence = "The run was cancelled."},
  ["expired"] = {exit_code = 91, sentence = "Your program waited too long for its turn. Please try again when there is less to do."},
  ["fault"] = {exit_code = 99, sentence = "Something went wrong on our side, several times, while your program ran. This is not your program's fault: please tell whoever runs this service."},
}

-- SPDX-License-Identifier: MIT
--
-- The queue, as a library of Redis Functions: every change of state is one call, and so one step. The build puts
-- the tables VERSION, FIELDS and VERDICTS in front of this text. Runs inside Redis (Lua 5.1, sandboxed). Callers are
-- clients (enqueue, cancel, input, position) and relays; neither can name a key of another queue: all keys are made
-- from the one that is passed, paddock:{QUEUE}:open. P is its part before "open".
--
-- What is true of every job at every moment: it is in `open` unless it is final; it is in `lease` if and only if it is
-- running; it stands in `waits`, and in one waiting list or in `delayed`, if and only if it is queued; it has one
-- `result` entry if and only if it is final. docs/PROTOCOL.md has the keys.

local CLASSES = {interactive = 0, normal = 1, batch = 2}
local SPARE_S = 3600           -- how long the keys of a job that nobody tends outlive its times
local REAP_AT_MOST = 20        -- expired leases and waits per call
local PROMOTE_AT_MOST = 100    -- delayed jobs per call
local SKIP_AT_MOST = 100       -- tenants without jobs, and jobs too late, passed over per claim
local LOOK_AT_MOST = 300       -- open jobs looked at to find the oldest that waits
local DEAD_AT_MOST = 1000
local WAKE_TOKENS = 64
local INPUT_AT_MOST = 65536    -- bytes of live input per call
local INPUTS_AT_MOST = 1048576 -- and per job
local ZIP_MB_AT_MOST = 50      -- what a relay can take, whatever is configured
local DEFAULTS = {max_zip_mb = 10, max_jobs = 100000, max_mb = 2048, max_tenant_jobs = 100000}

---- small things ----

local function now_ms()
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function whole(number)
  return string.format("%.0f", number)
end

local function field(P, id, name)
  return redis.call("HGET", P .. "job:" .. id, name) or nil
end

local function number_field(P, id, name)
  return tonumber(field(P, id, name) or 0) or 0
end

local function count(P, key, name, by)
  if redis.call("HINCRBY", P .. key, name, by) <= 0 then
    redis.call("HDEL", P .. key, name)
  end
end

local function wake(P)
  redis.call("LPUSH", P .. "wake", "1")
  redis.call("LTRIM", P .. "wake", 0, WAKE_TOKENS - 1)
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

local function tell(P, id, kind, attempt, object)
  redis.call("XADD", P .. "frames:" .. id, "*", "k", kind, "a", whole(attempt), "d", json_object(object))
end

local function printable(name)
  return (string.gsub(string.sub(name, 1, 64), "[^\32-\126]", "?"))
end

local function configured(P, name)
  return tonumber(redis.call("HGET", P .. "conf", name) or "") or DEFAULTS[name]
end

---- waiting ----

local function waiting_list(P, class, tenant)
  return P .. "t" .. class .. ":" .. tenant
end

-- Puts a job into its tenant's list: at the end, or (given back) at the front. A tenant that had nothing to do
-- takes its place beside the one that was served least.
local function put_in_line(P, id, front)
  local tenant, class = field(P, id, "tenant"), CLASSES[field(P, id, "priority")]
  local line, round = waiting_list(P, class, tenant), P .. "rr" .. class
  redis.call(front and "RPUSH" or "LPUSH", line, id)
  if not redis.call("ZSCORE", round, tenant) then
    local least = redis.call("ZRANGE", round, 0, 0, "WITHSCORES")
    redis.call("ZADD", round, least[2] or 0, tenant)
  end
  wake(P)
end

-- A wait that is over is one of the oldest, so its id is looked for from the front.
local function leave_line(P, id)
  redis.call("ZREM", P .. "waits", id)
  if redis.call("ZREM", P .. "delayed", id) == 0 then
    redis.call("LREM", waiting_list(P, CLASSES[field(P, id, "priority")], field(P, id, "tenant")), -1, id)
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

---- the one way to become final ----

-- result: {name, value ...} with numbers as numbers. Frees before it writes, so that a full Redis can be drained.
local function finish(P, id, state, result)
  local job = P .. "job:" .. id
  local tenant, attempt = field(P, id, "tenant") or "default", number_field(P, id, "attempt")
  local keep_s = number_field(P, id, "keep_s")
  local was_running = redis.call("ZREM", P .. "lease", id) == 1
  redis.call("UNLINK", P .. "zip:" .. id, P .. "ctl:" .. id, P .. "in:" .. id)
  if redis.call("ZREM", P .. "open", id) == 1 then
    redis.call("DECRBY", P .. "bytes", number_field(P, id, "bytes"))
    count(P, "topen", tenant, -1)
  end
  if was_running then
    count(P, "tact", tenant, -1)
  end
  local set, object = {"state", state, "ended_ms", whole(now_ms())}, {"kind", "result", "id", id}
  for i = 1, #result, 2 do
    set[#set + 1], set[#set + 2] = result[i], type(result[i + 1]) == "number" and whole(result[i + 1])
                                              or result[i + 1]
    object[#object + 1], object[#object + 2] = result[i], result[i + 1]
  end
  object[#object + 1], object[#object + 2] = "state", state
  object[#object + 1], object[#object + 2] = "attempt", attempt
  object[#object + 1], object[#object + 2] = "queue_ms", number_field(P, id, "queue_ms")
  local meta = field(P, id, "meta")
  if meta and meta ~= "" then
    object[#object + 1], object[#object + 2] = "meta", meta
  end
  redis.call("HSET", job, unpack(set))
  tell(P, id, "result", attempt, object)
  redis.call("EXPIRE", job, keep_s)
  redis.call("EXPIRE", P .. "frames:" .. id, keep_s)
end

-- The result of a job that the queue itself ends: no figures, the sentence of the table.
local function finish_by_queue(P, id, state, verdict, detail)
  finish(P, id, state, {"verdict", verdict, "exit_code", VERDICTS[verdict].exit_code,
                        "sentence", VERDICTS[verdict].sentence, "detail", detail})
end

---- given back ----

-- The job waits again, at the front, and not for ever.
local function release(P, id)
  redis.call("ZREM", P .. "lease", id)
  redis.call("ZADD", P .. "waits", whole(now_ms() + number_field(P, id, "max_wait_s") * 1000), id)
  redis.call("UNLINK", P .. "ctl:" .. id)
  redis.call("HDEL", P .. "job:" .. id, "token", "owner")
  redis.call("HSET", P .. "job:" .. id, "state", "queued")
  count(P, "tact", field(P, id, "tenant"), -1)
  put_in_line(P, id, true)
end

-- An attempt was lost through no fault of the program. Returns queued, dead or cancelled.
local function give_back(P, id, detail)
  local lost = redis.call("HINCRBY", P .. "job:" .. id, "lost", 1)
  if field(P, id, "cancel") then
    finish_by_queue(P, id, "cancelled", "cancelled", "cancelled while it ran; " .. detail)
    return "cancelled"
  end
  if lost >= math.max(number_field(P, id, "max_deliveries"), 1) then
    finish_by_queue(P, id, "dead", "fault", "lost " .. whole(lost) .. " times, last: " .. detail)
    redis.call("ZADD", P .. "dead", whole(now_ms()), id)
    redis.call("ZREMRANGEBYRANK", P .. "dead", 0, -DEAD_AT_MOST - 1)
    return "dead"
  end
  release(P, id)
  return "queued"
end

-- Is this the attempt that runs? A token that is not the job's belongs to an attempt that was given up.
local function holds(P, id, token)
  return redis.call("ZSCORE", P .. "lease", id) and field(P, id, "token") == token
end

---- time passes ----

local function reap_leases(P, now)
  local expired = redis.call("ZRANGE", P .. "lease", "-inf", whole(now), "BYSCORE", "LIMIT", 0, REAP_AT_MOST)
  for _, id in ipairs(expired) do
    give_back(P, id, "its lease ran out: the worker or its host is gone")
  end
end

local function expire(P, id)
  finish_by_queue(P, id, "expired", "expired", "waited longer than max_wait_s")
end

-- In `waits`, a job's score is the time at which its wait is over.
local function reap_waits(P, now)
  local over = redis.call("ZRANGE", P .. "waits", "-inf", whole(now), "BYSCORE", "LIMIT", 0, REAP_AT_MOST)
  for _, id in ipairs(over) do
    leave_line(P, id)
    expire(P, id)
  end
end

local function promote(P, now)
  local due = redis.call("ZRANGE", P .. "delayed", "-inf", whole(now), "BYSCORE", "LIMIT", 0, PROMOTE_AT_MOST)
  for _, id in ipairs(due) do
    redis.call("ZREM", P .. "delayed", id)
    put_in_line(P, id, false)
  end
end

---- enqueue ----

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

local function full(P, tenant, size)
  if redis.call("ZCARD", P .. "open") >= configured(P, "max_jobs") then
    return "jobs"
  end
  if tonumber(redis.call("GET", P .. "bytes") or 0) + size > configured(P, "max_mb") * 1048576 then
    return "bytes"
  end
  if tonumber(redis.call("HGET", P .. "topen", tenant) or 0) >= configured(P, "max_tenant_jobs") then
    return "tenant"
  end
end

local function store(P, id, upload, job, size, now)
  local set = {"state", "queued", "attempt", "0", "lost", "0", "bytes", whole(size),
               "enqueued_ms", whole(now)}
  for name, value in pairs(job) do
    set[#set + 1], set[#set + 2] = name, value
  end
  redis.call("DEL", P .. "frames:" .. id, P .. "in:" .. id)
  redis.call("RENAME", upload, P .. "zip:" .. id)
  -- A leak guard, and no more: it is `waits` that ends the wait.
  redis.call("EXPIRE", P .. "zip:" .. id, tonumber(job.max_wait_s) + math.ceil(job.delay_ms / 1000) + SPARE_S)
  redis.call("HSET", P .. "job:" .. id, unpack(set))
  redis.call("ZADD", P .. "open", whole(now), id)
  redis.call("INCRBY", P .. "bytes", size)
  count(P, "topen", job.tenant, 1)
  redis.call("ZADD", P .. "waits", whole(now + job.delay_ms + job.max_wait_s * 1000), id)
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
  if redis.call("EXISTS", upload) == 0 then
    return redis.error_reply("NOUPLOAD " .. args[3])
  end
  local size = redis.call("STRLEN", upload)
  local most = math.min(configured(P, "max_zip_mb"), ZIP_MB_AT_MOST) * 1048576
  if size > most then
    redis.call("UNLINK", upload)
    return redis.error_reply("TOOBIG " .. whole(most))
  end
  local reason = full(P, job.tenant, size)
  if reason then
    redis.call("UNLINK", upload)
    return redis.status_reply("full " .. reason .. " 1000")
  end
  local now, delay = now_ms(), tonumber(job.delay_ms)
  store(P, id, upload, job, size, now)
  if delay > 0 then
    redis.call("ZADD", P .. "delayed", whole(now + delay), id)
  else
    put_in_line(P, id, false)
  end
  local ahead = redis.call("ZCARD", P .. "open") - redis.call("ZCARD", P .. "lease") - 1
  return redis.status_reply("queued " .. whole(ahead))
end

---- claim ----

-- The next id of a class: the tenant that was served least has its turn. nil if nobody waits. A tenant without jobs
-- keeps its place until its turn comes: who left at once and returned at the front would be served before those
-- who always wait.
local function next_of_class(P, class, now)
  local round = P .. "rr" .. class
  for _ = 1, SKIP_AT_MOST do
    local tenant = redis.call("ZRANGE", round, 0, 0)[1]
    if not tenant then
      return nil
    end
    local id = redis.call("RPOP", waiting_list(P, class, tenant))
    local over = id and tonumber(redis.call("ZSCORE", P .. "waits", id) or 0)
    if not id then
      redis.call("ZREM", round, tenant)
    else
      redis.call("ZREM", P .. "waits", id)
      if over > now then
        redis.call("ZINCRBY", round, 1, tenant)
        return id
      end
      expire(P, id)
    end
  end
  wake(P) -- the rest is the next claim's
end

local function start(P, id, owner, lease_ms, max_deliveries, now)
  local attempt = redis.call("HINCRBY", P .. "job:" .. id, "attempt", 1)
  local token = owner .. ":" .. whole(now) .. ":" .. whole(attempt)
  local queue_ms = math.max(now - number_field(P, id, "enqueued_ms") - number_field(P, id, "delay_ms"), 0)
  redis.call("ZADD", P .. "lease", whole(now + lease_ms), id)
  count(P, "tact", field(P, id, "tenant"), 1)
  redis.call("HSET", P .. "job:" .. id, "state", "running", "owner", owner, "token", token, "started_ms",
             whole(now), "queue_ms", whole(queue_ms), "max_deliveries", whole(max_deliveries))
  tell(P, id, "state", attempt, {"kind", "state", "state", "running", "attempt", attempt, "time_ms", now,
                                 "queue_ms", queue_ms})
  local wall_s = math.ceil(number_field(P, id, "wall_ms") / 1000)
  redis.call("EXPIRE", P .. "frames:" .. id, wall_s + number_field(P, id, "keep_s") + SPARE_S)
  for _, key in ipairs({"zip:", "in:"}) do
    redis.call("EXPIRE", P .. key .. id, wall_s + number_field(P, id, "max_wait_s") + SPARE_S)
  end
  return token, attempt
end

local function claim(P, args)
  local owner, now = args[1], now_ms()
  local lease_ms, max_deliveries = tonumber(args[2]), tonumber(args[3])
  reap_leases(P, now)
  reap_waits(P, now)
  promote(P, now)
  if redis.call("EXISTS", P .. "paused") == 1 then
    return {}
  end
  for class = 0, 2 do
    local id = next_of_class(P, class, now)
    if id then
      local token, attempt = start(P, id, owner, lease_ms, max_deliveries, now)
      local answer = {"id", id, "token", token, "attempt", whole(attempt), "waiting", whole(jobs_waiting(P))}
      for name in pairs(FIELDS) do
        answer[#answer + 1], answer[#answer + 2] = name, field(P, id, name) or ""
      end
      return answer
    end
  end
  return {}
end

---- while it runs ----

local function beat(P, args)
  local id, token = args[1], args[2]
  if not holds(P, id, token) then
    return redis.status_reply("lost")
  end
  redis.call("ZADD", P .. "lease", whole(now_ms() + tonumber(args[3])), id)
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
  release(P, id)
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
    leave_line(P, id)
    finish_by_queue(P, id, "cancelled", "cancelled", "cancelled while it waited")
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
    redis.call("EXPIRE", P .. "in:" .. id, math.ceil((number_field(P, id, "delay_ms") + number_field(P, id, "wall_ms"))
                                                     / 1000) + number_field(P, id, "max_wait_s") + SPARE_S)
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

local function version()
  return VERSION
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

-- Without allow-oom Redis itself answers -OOM to an enqueue, and to input, when its memory is used up. All else goes on, so that
-- what is queued can be run and freed.
register("enqueue", enqueue)
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
register("version", version, "no-writes")
