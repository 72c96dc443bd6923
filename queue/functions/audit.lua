-- SPDX-License-Identifier: MIT
---- what was damaged ----

-- Nothing here happens to a queue whose keys nobody but the library writes. But an operator's hand, a restore, a user whose
-- rights were taken away for a moment leave keys that are none, and jobs that stand nowhere: neither may stop the queue, and
-- no job may be lost for it. `suspect` holds how many of `open` have been looked after, while that goes on.
local TYPES = {open = "zset", lease = "zset", waits = "zset", delayed = "zset", dead = "zset", turns = "zset",
               rr0 = "zset", rr1 = "zset", rr2 = "zset", turns0 = "zset", turns1 = "zset", turns2 = "zset", capped = "zset", kept = "hash", topen = "hash",
               tact = "hash", conf = "hash", weights = "hash", bytes = "string", pace = "string", paused = "string",
               wake = "list", recordings = "zset", recordings_until = "zset", recordings_size = "hash",
               recordings_bytes = "string"}

-- Removes what stands in the place of one of the queue's own keys. Whoever waits or runs is open.
local function mend(P)
  for name, right in pairs(TYPES) do
    local kind = redis.call("TYPE", P .. name).ok
    if kind ~= right and kind ~= "none" then
      redis.call("UNLINK", P .. name)
      if name == "open" then
        redis.pcall("ZUNIONSTORE", P .. "open", 2, P .. "waits", P .. "lease")
      end
    end
  end
  redis.call("SET", P .. "suspect", "0")
end

-- How many of a tenant run is what `lease` says.
local function count_running(P)
  local running = {}
  for _, id in ipairs(redis.call("ZRANGE", P .. "lease", 0, COUNT_AT_MOST)) do
    local tenant = place(P, id)
    running[tenant] = (running[tenant] or 0) + 1
  end
  local counts = redis.call("HGETALL", P .. "tact")
  for i = 1, #counts, 2 do
    local tenant, number = counts[i], running[counts[i]]
    if not number then
      redis.call("HDEL", P .. "tact", tenant)
    end
    if (number or 0) < counted(counts[i + 1]) then
      uncap(P, tenant)
    end
  end
  for tenant, number in pairs(running) do
    redis.call("HSET", P .. "tact", tenant, whole(number))
  end
end

-- It is queued: then it waits, in its line or put off.
local function set_waiting(P, id, now)
  local tenant, class = place(P, id)
  if not redis.call("ZSCORE", P .. "waits", id) then
    redis.call("ZADD", P .. "waits", whole(now + asked_field(P, id, "max_wait_s") * 1000), id)
  end
  if redis.call("ZSCORE", P .. "delayed", id) then
    return
  end
  if not force("ZSCORE", P .. "line" .. class .. ":" .. tenant, id) then
    put_in_line(P, id, true, tenant, class)
  end
  if not redis.call("ZSCORE", P .. "capped", tenant) then
    join_class(P, class, tenant)
  end
end

local function is_told(P, id)
  local last = try("XREVRANGE", P .. "frames:" .. id, "+", "-", "COUNT", 1) or {}
  return last[1] and last[1][2][2] == "result"
end

-- Where nobody runs it, and its result was not told, it runs again.
local function look_after(P, id, now)
  if redis.call("ZSCORE", P .. "lease", id) then
    return
  end
  local known = fields(P, id, "state", "tenant", "attempt", "bytes", "keep_s", "cancel")
  local state = known[1]
  if (not state or state == "queued") and not known[6] then
    return set_waiting(P, id, now)
  end
  leave_line(P, id)
  if state ~= "running" and is_told(P, id) then
    close(P, id, state, known[2] or "default", counted(known[3]), counted(known[4]), asked("keep_s", known[5]), now)
  else
    give_back(P, id, "the queue had lost sight of it")
  end
end

local function audit(P, now)
  local start = counted(try("GET", P .. "suspect"))
  local ids = redis.call("ZRANGE", P .. "open", start, start + AUDIT_AT_MOST - 1)
  if start == 0 and redis.call("ZCARD", P .. "lease") <= COUNT_AT_MOST then
    count_running(P)
  end
  for _, id in ipairs(ids) do
    look_after(P, id, now)
  end
  if #ids < AUDIT_AT_MOST then
    redis.call("UNLINK", P .. "suspect")
  else
    redis.call("SET", P .. "suspect", whole(start + #ids))
  end
end

-- Nobody waits or runs: what is counted is nothing, and the bytes of dead letters.
local function count_anew(P)
  local bytes = 0
  for _, id in ipairs(redis.call("ZRANGE", P .. "dead", 0, COUNT_AT_MOST)) do
    bytes = bytes + counted(field(P, id, "held"))
  end
  redis.call("UNLINK", P .. "topen", P .. "tact", P .. "bytes")
  add(P, "bytes", bytes)
end

-- A claim has found nobody to run. Where jobs wait all the same it is seen to, from time to time, whether they could.
local function suspect(P)
  local open = redis.call("ZCARD", P .. "open")
  if (open == 0 or jobs_waiting(P) > 0) and redis.call("SET", P .. "audited", "1", "NX", "PX", AUDIT_MS) then
    if open == 0 then
      count_anew(P)
    else
      redis.call("SET", P .. "suspect", "0", "NX")
      wake(P)
    end
  end
end
