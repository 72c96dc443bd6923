-- SPDX-License-Identifier: MIT
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
