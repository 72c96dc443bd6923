-- SPDX-License-Identifier: MIT
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
  wake(P, jobs_waiting(P))
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
  local known, now = fields(P, id, "tenant", "priority", "max_wait_s", "bytes"), now_ms()
  local tenant, class = place_of(nil, known[1], known[2])
  local reason = full(P, tenant, 0, nothing)
  if reason then
    return redis.status_reply("full " .. reason .. " 1000")
  end
  redis.call("UNLINK", P .. "frames:" .. id)
  forget_recording(P, id)
  redis.call("HDEL", P .. "job:" .. id, unpack(RESULT))
  redis.call("HSET", P .. "job:" .. id, "state", "queued", "lost", "0", "delay_ms", "0", "enqueued_ms", whole(now),
             "queued_ms", whole(now), "line", line_of(tenant, class))
  local job = {tenant = tenant, priority = CLASS_NAMES[class], delay_ms = 0,
               max_wait_s = asked("max_wait_s", known[3])}
  guard(P, id, job.max_wait_s, true)
  local answer = open(P, id, job, now, counted_bytes(known[4]), 0)
  redis.call("ZREM", P .. "dead", id)
  return redis.status_reply(answer)
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
