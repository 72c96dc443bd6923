-- SPDX-License-Identifier: MIT
---- clients ----

-- One word is enough, however often it came since the relay has looked.
local function tell_relay(P, id, how, word)
  if not force("LPOS", P .. "ctl:" .. id, word) then
    redis.call(how, P .. "ctl:" .. id, word)
    redis.call("EXPIRE", P .. "ctl:" .. id, 600)
  end
end

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
    tell_relay(P, id, "LPUSH", "cancel")
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
  if size > 0 and has_no_room(P, size) then
    make_room(P, function(held) return has_no_room(P, size - held) end)
    return has_no_room(P, size) and "full" or nil
  end
end

-- It is counted with the job's program, until the job is final.
local function count_input(P, id, size)
  redis.call("HSET", P .. "job:" .. id, "bytes", whole(counted_bytes(field(P, id, "bytes")) + size))
  add(P, "bytes", size)
  note_open(P, redis.call("ZSCORE", P .. "open", id) or math.huge, (place(P, id)), 0, size)
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
    count_input(P, id, #bytes) -- first: what is damaged there is an error, by which nothing is given
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
  tell_relay(P, id, "RPUSH", "input")
  return redis.status_reply("ok")
end

local position -- what it alone uses is out of sight: a text of Lua has at most 200 names of its own
do
  -- How many turns others of a round have before a member's: a sum over the others, of which `turns(other, lead, first)` says
  -- how many each, by how much less it was served than the member, and whether of equals it is the first. Of more than are looked
  -- at the rest is taken to be as those are.
  local function sum_of_others(P, round, member, turns)
    local places, sum, others = redis.call("ZRANGE", P .. round, 0, LOOK_AT_MOST - 1, "WITHSCORES"), 0, 0
    local own = tonumber(redis.call("ZSCORE", P .. round, member) or places[2] or 0)
    for i = 1, #places, 2 do
      if places[i] ~= member then
        sum, others = sum + turns(places[i], own - tonumber(places[i + 1]), places[i] < member), others + 1
      end
    end
    local rest = #places == 2 * LOOK_AT_MOST and redis.call("ZCARD", P .. round) - LOOK_AT_MOST or 0
    return others > 0 and math.floor(sum + sum * rest / others + 0.5) or sum
  end

  -- How often one had its turn before another has so much behind it, by how much it is ahead; the places are rounded.
  local function turns_until(lead, first)
    local turns = math.ceil(lead - 1e-6)
    return math.max(turns + (first and math.abs(turns - lead) < 1e-6 and 1 or 0), 0)
  end

  -- How many of its tenant's own jobs begin before it where its lines take turns of their own (own_class), of which so many stand
  -- before it in its own.
  local function own_ahead(P, tenant, class, before, weights)
    local flat, places, sum = try("ZRANGE", P .. "own:" .. tenant, 0, 2, "WITHSCORES") or {}, {}, before
    for i = 1, #flat, 2 do
      places[flat[i]] = tonumber(flat[i + 1])
    end
    for other = 0, 2 do
      local lead = (places[whole(class)] or 0) - (places[whole(other)] or 0)
      sum = sum + (other == class and 0 or math.min(length_of(P, other, tenant),
                                                    turns_until((before / weights[class] + lead) * weights[other], other < class)))
    end
    return sum
  end

  -- How many begin before the turn of a tenant in a class that comes behind so many of its own. `left_out`: whose lines in other
  -- classes are among these.
  local function before_turn(P, tenant, class, own, weights, left_out)
    local beside = own + sum_of_others(P, "turns" .. class, tenant, function(other, lead, first)
      return math.min(length_of(P, class, other), turns_until(own + lead, first))
    end)
    return beside + sum_of_others(P, "turns", whole(class), function(other, lead, first)
      local all = sum_of_others(P, "turns" .. other, left_out, function(line) return length_of(P, other, line) end)
      return math.min(all, turns_until((beside / weights[class] + lead) * weights[CLASS_OF[other]], first))
    end)
  end

  -- How many begin before it, as the rounds stand: an estimate, for who comes meanwhile has turns, too, and what tenants weigh
  -- is not looked at. Those of a tenant at its cap begin in the order of its own turns, whichever class brings them. Returns also
  -- how many of them are its tenant's.
  local function jobs_ahead(P, id, tenant, class)
    local before = try("ZRANK", P .. "line" .. class .. ":" .. tenant, id)
    if not before then
      return (jobs_that_could_run(P)), 0
    end
    local cap, interactive, normal, batch = configured(P, "max_tenant_running", "weight_interactive", "weight_normal", "weight_batch")
    local weights = {[0] = interactive, normal, batch}
    local own = cap > 0 and own_ahead(P, tenant, class, before, weights) or before
    if cap == 0 or running_of(P, tenant) < cap then
      return before_turn(P, tenant, class, before, weights, ""), own
    end
    local ahead = math.huge
    for brings = 0, 2 do
      if length_of(P, brings, tenant) > 0 then
        ahead = math.min(ahead, before_turn(P, tenant, brings, own, weights, tenant))
      end
    end
    return ahead, own
  end

  -- How many rounds of its own jobs a tenant at its cap runs before this one, of which so many begin before it.
  local function rounds_of_own(P, tenant, own)
    local cap = configured(P, "max_tenant_running")
    return cap > 0 and math.max(math.ceil((own + running_of(P, tenant) - cap + 1) / cap), 0) or 0
  end

  -- {jobs ahead, expected wait in ms}; {-1, 0} for a job that is final or unknown.
  function position(P, args)
    local id = args[1] or ""
    if not redis.call("ZSCORE", P .. "open", id) then
      return {-1, 0}
    end
    if redis.call("ZSCORE", P .. "lease", id) then
      return {0, 0}
    end
    local tenant, class = place(P, id)
    local ahead, own = jobs_ahead(P, id, tenant, class)
    local rounds = math.max(ahead / math.max(redis.call("ZCARD", P .. "lease"), 1), rounds_of_own(P, tenant, own))
    local wait = math.ceil(rounds * within(try("GET", P .. "pace"), 0, 1e9, 0))
    local due = redis.call("ZSCORE", P .. "delayed", id)
    return {ahead, due and math.max(wait, tonumber(due) - now_ms()) or wait}
  end
end

local look_at_depth
do
  -- Since when the one waits that has waited longest in a line. In front stand those that were given back, each of whom waits anew:
  -- so many more are looked at, up to one that was never begun. Returns also how many more may be.
  local function longest_wait(P, line, room)
    local since, rank, known = math.huge, 0
    repeat
      local id = (try("ZRANGE", line, rank, rank) or {})[1]
      known = id and fields(P, id, "queued_ms", "enqueued_ms", "delay_ms", "attempt") or {}
      local from = whole_within(known[1] or known[2], 0, TIME_AT_MOST) -- the version before had but that, and delay_ms
      from = from and from + (known[1] and 0 or counted(known[3]))
      since, rank = math.min(since, from or since), rank + 1
    until counted(known[4]) == 0 or rank > room
    return since, room - rank + 1
  end

  -- {jobs that could run now, jobs that run, oldest wait in ms, jobs put off, dead letters, 1 while paused}, and how many tenants
  -- are at their cap. Rounds have the tenants in front that were served least.
  function look_at_depth(P)
    local first, room, tenants, waiting, capped = math.huge, LOOK_AT_MOST, 0, jobs_that_could_run(P)
    for _ in pairs(capped) do
      tenants = tenants + 1
    end
    for class = 0, waiting > 0 and 2 or -1 do
      for _, tenant in ipairs(redis.call("ZRANGE", P .. "turns" .. class, 0, LOOK_AT_MOST - 1)) do
        if not capped[tenant] then
          local since
          since, room = longest_wait(P, P .. "line" .. class .. ":" .. tenant, room)
          first = math.min(first, since)
        end
      end
    end
    return {waiting, redis.call("ZCARD", P .. "lease"),
            first < math.huge and math.max(now_ms() - first, 0) or 0, redis.call("ZCARD", P .. "delayed"),
            redis.call("ZCARD", P .. "dead"), redis.call("EXISTS", P .. "paused")}, tenants
  end
end

local function depth(P)
  return (look_at_depth(P))
end

-- {name, value ...}: how full the queue is, and what is in the way of its jobs.
local function status(P)
  local answer, depths, capped = {"queue", string.match(P, "{(.*)}")}, look_at_depth(P)
  for i, name in ipairs({"waiting", "running", "oldest_ms"}) do
    answer[#answer + 1], answer[#answer + 2] = name, depths[i]
  end
  answer[#answer + 1], answer[#answer + 2] = "capped", capped
  for _, name in ipairs({"delayed", "dead"}) do
    answer[#answer + 1], answer[#answer + 2] = name, redis.call("ZCARD", P .. name)
  end
  for _, name in ipairs({"bytes", "recordings_bytes"}) do
    answer[#answer + 1], answer[#answer + 2] = name, counted(try("GET", P .. name))
  end
  local reason = redis.call("GET", P .. "paused")
  if reason then
    answer[#answer + 1], answer[#answer + 2] = "paused", reason
  end
  return answer
end

-- Whose jobs wait and run: {tenant, waiting, running} each, those with most first. Of the tenants of a class, and of those at
-- their cap, LOOK_AT_MOST are looked at.
local function tenants(P)
  local rows, known = {}, {}
  local function note(tenant, running)
    if not known[tenant] then
      known[tenant] = {tenant, 0, running}
      rows[#rows + 1] = known[tenant]
      for class = 0, 2 do
        known[tenant][2] = known[tenant][2] + length_of(P, class, tenant)
      end
    end
  end
  local running = redis.call("HGETALL", P .. "tact")
  for i = 1, #running, 2 do
    note(running[i], counted(running[i + 1]))
  end
  for _, round in ipairs({"turns0", "turns1", "turns2", "capped"}) do
    for _, tenant in ipairs(redis.call("ZRANGE", P .. round, 0, LOOK_AT_MOST - 1)) do
      note(tenant, 0)
    end
  end
  table.sort(rows, function(a, b)
    local more = a[2] + a[3] - b[2] - b[3]
    return more > 0 or more == 0 and a[1] < b[1]
  end)
  while #rows > LOOK_AT_MOST or (rows[1] and rows[#rows][2] + rows[#rows][3] == 0) do
    rows[#rows] = nil
  end
  return rows
end

local function version()
  return VERSION
end
