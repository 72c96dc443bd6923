-- SPDX-License-Identifier: MIT
---- turns ----

-- A round is a sorted set: whose turn it is, by how much each was served. Who is served moves on by the more the less it weighs;
-- of equals the first by name is first. In a round of tenants those are who have something to run, and nobody else.
--
-- Who comes takes a place where the round has come to: as much as all of its members were served on the mean, and no less than who
-- was served last, but between the first of them and one turn of his own behind (virtual time of fair queueing: Demers, Keshav and
-- Shenker, 1989; of who is being served: Goyal, Vin and Cheng, 1996). So each turn puts those
-- who come after it behind those who wait, however many come (but behind a burst once, within two turns of each): at the place of
-- the first they would be before it, by their names, for ever. A round that has begun is shared among as many as it began with (`of:`): however many come meanwhile, it
-- comes to its end, and to those who wait for their next turn. It never comes further than one turn beyond the first of them:
-- who is gone after a single turn would else have it run ahead, the more of them the further. Who has nothing more to run leaves,
-- and `turns_had` holds what it was served until the round has come so far, of at most HAD_AT_MOST: else who left and returned
-- would be before those who always wait. Where nobody is left all begin anew.
--
-- Who was passed over (a tenant at its cap, a class all of whose tenants are, or are gone) comes back to the place that it
-- had, which `kept` holds, but with at most one turn saved up, which is one job, before where the round has come to: else it would be
-- behind others again each time, and perhaps never run. How far a round had come when all were passed over is kept, too.
local PLACE_AT_MOST = 1e12
local HAD_AT_MOST = 1000

local weight_of_class
do
  local WEIGHTS = {[0] = "weight_interactive", "weight_normal", "weight_batch"}

  function weight_of_class(P, class)
    return configured(P, WEIGHTS[class])
  end
end

local function weight_of(P, tenant)
  return within(try("HGET", P .. "weights", tenant), 1, 100, 1)
end

-- `had`: where those are looked for that have left it, or nil. `weigh`: what says how much a member weighs.
local function join(P, round, member, weigh, had)
  local there = redis.call("ZSCORE", P .. round, member)
  if there and not had then
    return
  end
  local known = redis.call("HMGET", P .. "kept", round .. ":" .. member, round)
  local kept, come = within(known[1], 0, PLACE_AT_MOST), within(known[2], 0, PLACE_AT_MOST, 0)
  local front = within(redis.call("ZRANGE", P .. round, 0, 0, "WITHSCORES")[2] or known[2], 0, PLACE_AT_MOST, 0)
  if there then -- somebody may have damaged it
    if (tonumber(there) or math.huge) > front + 2 then
      redis.call("ZADD", P .. round, string.format("%.9f", math.min(math.max(come, front), front + 1)), member)
    end
    return
  end
  local one_turn = 1 / weigh(P, member)
  local place = math.min(math.max(come, front), front + one_turn)
  if known[1] then
    redis.call("HDEL", P .. "kept", round .. ":" .. member)
    place = kept and math.max(kept, place - one_turn) or place
  end
  local before = had and within(force("ZSCORE", P .. had, member), 0, PLACE_AT_MOST)
  if before then
    redis.call("ZREM", P .. had, member)
    place = math.max(place, math.min(before, front + one_turn))
  end
  redis.call("ZADD", P .. round, string.format("%.9f", place), member)
end

-- Its line of that class is empty.
local function leave(P, class, tenant)
  local round, had = "turns" .. class, "turns_had" .. class
  local place = within(redis.call("ZSCORE", P .. round, tenant), 0, PLACE_AT_MOST)
  redis.call("ZREM", P .. round, tenant)
  local come = within(redis.call("HGET", P .. "kept", round), 0, PLACE_AT_MOST, 0)
  if redis.call("ZCARD", P .. round) == 0 then
    redis.call("UNLINK", P .. had)
    redis.call("HSET", P .. "kept", round, string.format("%.9f", math.max(come, place or 0)))
  elseif place then
    if place > come and redis.call("ZCARD", P .. had) < HAD_AT_MOST then
      force("ZADD", P .. had, string.format("%.9f", place), tenant)
    end
    for _, other in ipairs(force("ZRANGE", P .. had, "-inf", string.format("%.9f", come), "BYSCORE", "LIMIT", 0,
                                      SKIP_AT_MOST)) do
      redis.call("ZREM", P .. had, other)
    end
  end
end

local function pass_over(P, round, member)
  local place = within(redis.call("ZSCORE", P .. round, member), 0, PLACE_AT_MOST, 0)
  local front = within(redis.call("HGET", P .. "kept", round), 0, PLACE_AT_MOST, 0)
  redis.call("HSET", P .. "kept", round .. ":" .. member, string.format("%.9f", place), round,
             string.format("%.9f", math.max(front, place)))
  redis.call("ZREM", P .. round, member)
end

local function serve(P, round, member, weight)
  redis.call("ZADD", P .. round, "XX", "INCR", string.format("%.9f", 1 / weight), member)
end

local serve_tenant, serve_class
do
  local BEFORE_AT_MOST = 3 -- turns; who is further before the others, or where the round has come, was put there by somebody

  function serve_tenant(P, round, tenant, weight)
    local members = redis.call("ZCARD", P .. round)
    local known = redis.call("HMGET", P .. "kept", round, "of:" .. round)
    local come, of = within(known[1], 0, PLACE_AT_MOST, 0), within(known[2], 1, PLACE_AT_MOST, members)
    local front = within(redis.call("ZSCORE", P .. round, tenant), math.max(come - BEFORE_AT_MOST, 0), PLACE_AT_MOST)
    if front then
      serve(P, round, tenant, weight)
    else -- he would have all turns until he is where the others are
      redis.call("ZADD", P .. round, string.format("%.9f", come), tenant)
    end
    front = front or 0
    come = math.max(come, front)
    local first = within(redis.call("ZRANGE", P .. round, 0, 0, "WITHSCORES")[2], 0, PLACE_AT_MOST, front)
    local comes = math.min(come + 1 / weight / math.min(of, members), math.max(first, front) + 1)
    of = math.floor(comes) > math.floor(come) and members or math.min(of, members)
    redis.call("HSET", P .. "kept", round, string.format("%.9f", comes), "of:" .. round, whole(of))
  end

  -- `places`: who is first of the classes, and who is next, each with his place.
  function serve_class(P, places, weight)
    local own, other = within(places[2], 0, PLACE_AT_MOST), within(places[4], 0, PLACE_AT_MOST)
    if own and (not places[4] or other and other - own <= BEFORE_AT_MOST) then
      return serve(P, "turns", places[1], weight)
    end
    for i = 1, #places, 2 do
      redis.call("ZADD", P .. "turns", string.format("%.9f", math.max(own or 0, other or 0)), places[i])
    end
  end
end

-- A tenant that was at its cap spends what it may run by turns of its own (`own:TENANT`): the classes have theirs by what all
-- tenants do, and one of its lines could be behind another each time that it may run a job again.
local function begin_own(P, tenant)
  force("ZADD", P .. "own:" .. tenant, "NX", 0, 0, 0, 1, 0, 2)
  redis.call("EXPIRE", P .. "own:" .. tenant, 3600)
end

-- Whose turn it is of its classes. One without jobs saves nothing up.
local function own_class(P, tenant, class)
  local places, without = force("ZRANGE", P .. "own:" .. tenant, 0, 2, "WITHSCORES"), {}
  for i = 1, #places, 2 do
    if redis.call("EXISTS", P .. "line" .. places[i] .. ":" .. tenant) == 1 then
      for _, other in ipairs(without) do
        redis.call("ZADD", P .. "own:" .. tenant, places[i + 1], other)
      end
      return CLASS_OF[places[i]], true
    end
    without[#without + 1] = places[i]
  end
  return class, false
end

-- Tenants have their turns within a class (`turns0` ...), classes among each other (`turns`). Whose class has a tenant
-- in its round has its own place, too.
local function join_class(P, class, tenant)
  join(P, "turns" .. class, tenant, weight_of, "turns_had" .. class)
  join(P, "turns", class, weight_of_class)
end

local function running_of(P, tenant)
  return counted(try("HGET", P .. "tact", tenant))
end

local function length_of(P, class, tenant)
  return try("ZCARD", P .. "line" .. class .. ":" .. tenant) or 0
end

-- A tenant that has as many running as it may is in no round, but in `capped`, with that cap. It comes back as soon as
-- one of them ends, or it may run more: as many workers hear of it as can have a job of it.
local function uncap(P, tenant)
  if redis.call("ZREM", P .. "capped", tenant) == 1 then
    local cap, waiting = configured(P, "max_tenant_running"), 0
    for class = 0, 2 do
      local jobs = length_of(P, class, tenant)
      waiting = waiting + jobs
      if jobs > 0 then
        join_class(P, class, tenant)
      else
        redis.call("HDEL", P .. "kept", "turns" .. class .. ":" .. tenant)
      end
    end
    wake(P, math.min(waiting, cap > 0 and cap - running_of(P, tenant) or waiting))
  end
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
