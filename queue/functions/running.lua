-- SPDX-License-Identifier: MIT
---- while it runs ----

local function beat(P, args)
  local id, token = args[1], args[2]
  if not holds(P, id, token) then
    return redis.status_reply("lost")
  end
  local now = now_ms()
  hold(P, id, now, within(args[3], 1, 1e9, LEASE_AT_MOST))
  reap_waits(P, now) -- claims do it, too, but no claim comes while all have a job
  return redis.status_reply(field(P, id, "cancel") and "cancel" or "ok")
end

local NUMBERS = {exit_code = true, signal = true, cpu_ms = true, wall_ms = true, max_rss_kb = true, shared_kb = true,
                 memory_kb = true, frames_dropped = true}

-- How long a job runs, of late: for paddock_position.
local function learn_pace(P, wall_ms)
  local mean = within(try("GET", P .. "pace"), 0, 1e9, wall_ms)
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
      learn_pace(P, within(args[i + 1], 0, 1e9, 0))
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
