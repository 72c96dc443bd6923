-- SPDX-License-Identifier: MIT
---- waiting ----

-- Where a job waits, and with whom it is counted: its tenant and class. Its field `line` says so from its enqueue on (as the
-- line's key ends: CLASS:TENANT), whatever somebody makes of `tenant` and `priority` later; the version before had those alone.
local function place_of(line, tenant, priority)
  local class = CLASS_OF[string.sub(line or "", 1, 1)]
  if class then
    return string.sub(line, 3), class
  end
  return tenant or "default", CLASSES[priority or "normal"] or CLASSES.normal
end

local function place(P, id)
  local known = fields(P, id, "line", "tenant", "priority")
  return place_of(known[1], known[2], known[3])
end

local function line_of(tenant, class)
  return class .. ":" .. tenant
end

-- Puts a job into its tenant's line: at the end, or (given back) at the front.
local function put_in_line(P, id, front, tenant, class)
  local line, edge = P .. "line" .. class .. ":" .. tenant, front and 0 or -1
  local beside = force("ZRANGE", line, edge, edge, "WITHSCORES")
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
  force("ZADD", P .. "later:" .. tenant, whole(due), id)
  for _, when in ipairs({"NX", "GT"}) do -- a leak guard: the version before knows nothing of it
    redis.call("EXPIRE", P .. "later:" .. tenant, math.ceil(math.max(due - now_ms(), 0) / 1000) + SPARE_S, when)
  end
end

local function leave_line(P, id)
  local tenant, class = place(P, id)
  redis.call("ZREM", P .. "waits", id)
  if redis.call("ZREM", P .. "delayed", id) == 1 then
    force("ZREM", P .. "later:" .. tenant, id)
  else
    force("ZREM", P .. "line" .. class .. ":" .. tenant, id)
    if redis.call("EXISTS", P .. "line" .. class .. ":" .. tenant) == 0 then
      leave(P, class, tenant)
    end
  end
end

-- A leak guard, and no more: it is `waits` that ends a wait. Where a job's hash is gone its program is, too.
local function guard(P, id, seconds, has_input)
  redis.call("EXPIRE", P .. "zip:" .. id, seconds + SPARE_S)
  redis.call("EXPIRE", P .. "job:" .. id, seconds + SPARE_S + 60)
  if has_input then
    redis.call("EXPIRE", P .. "in:" .. id, seconds + SPARE_S)
  end
end

-- How many stand in line.
local function jobs_waiting(P)
  return redis.call("ZCARD", P .. "open") - redis.call("ZCARD", P .. "lease") - redis.call("ZCARD", P .. "delayed")
end

local jobs_that_could_run
do
  -- {tenant = how many of its jobs stand in line} of those that run as many as they may: a claim has noted some in `capped`, but
  -- none comes while all workers have a job.
  local function at_cap(P)
    local found, cap = {}, configured(P, "max_tenant_running")
    local function note(tenant)
      local waiting = length_of(P, 0, tenant) + length_of(P, 1, tenant) + length_of(P, 2, tenant)
      found[tenant] = waiting > 0 and waiting or nil
    end
    for _, tenant in ipairs(try("ZRANGE", P .. "capped", 0, LOOK_AT_MOST - 1) or {}) do
      note(tenant)
    end
    local running = cap > 0 and try("HGETALL", P .. "tact") or {}
    for i = 1, #running, 2 do
      if counted(running[i + 1]) >= cap then
        note(running[i])
      end
    end
    return found
  end

  -- How many, and at_cap: these could not.
  function jobs_that_could_run(P)
    local number, capped = jobs_waiting(P), at_cap(P)
    for _, jobs in pairs(capped) do
      number = number - jobs
    end
    return math.max(number, 0), capped
  end
end

