-- SPDX-License-Identifier: MIT
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
