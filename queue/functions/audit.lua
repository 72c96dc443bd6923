-- SPDX-License-Identifier: MIT
---- what was damaged ----

-- Nothing here happens to a queue whose keys nobody but the library writes. But an operator's hand, a restore, a user whose
-- rights were taken away for a moment leave keys that are none, and jobs that stand nowhere: neither may stop the queue, and
-- no job may be lost for it. So an audit goes on always, round after round over `open`: some of them each second, and at each
-- claim from the first that was damaged to the end of the round.
local mend, audit
do
  local TYPES = {open = "zset", lease = "zset", waits = "zset", delayed = "zset", dead = "zset", turns = "zset",
                 rr0 = "zset", rr1 = "zset", rr2 = "zset", turns0 = "zset", turns1 = "zset", turns2 = "zset",
                 turns_had0 = "zset", turns_had1 = "zset", turns_had2 = "zset",
                 capped = "zset", kept = "hash", topen = "hash",
                 tact = "hash", conf = "hash", weights = "hash", bytes = "string", pace = "string", paused = "string",
                 wake = "list", recordings = "zset", recordings_until = "zset", recordings_size = "hash",
                 recordings_bytes = "string"}

  -- What a step leaves in `audited`. Where something else stands there, this server has not seen all that happened.
  local marks = 0

  local function mark_round(P, round, now)
    marks = marks + 1
    rounds[round.mark or ""] = nil
    round.at, round.mark = now, P .. whole(now) .. "-" .. whole(marks)
    rounds[round.mark] = round
    redis.call("SET", P .. "audited", string.sub(round.mark, #P + 1), "EX", AUDITED_S)
  end

  -- What nobody goes on with any more is forgotten: `audited` is gone, or another's.
  local function begin_round(P, hurry, now)
    for mark, round in pairs(rounds) do
      if math.abs(now - round.at) > AUDITED_S * 1000 then
        rounds[mark] = nil
      end
    end
    return {through = -math.huge, jobs = {}, tenants = 0, bytes = 0, sure = true, hurry = hurry}
  end

  -- Removes what stands in the place of one of the queue's own keys. Whoever waits or runs is open.
  function mend(P)
    local now = now_ms()
    mark_round(P, begin_round(P, true, now), now)
    for name, right in pairs(TYPES) do
      local kind = redis.call("TYPE", P .. name).ok
      if kind ~= right and kind ~= "none" then
        redis.call("UNLINK", P .. name)
        if name == "open" then
          redis.pcall("ZUNIONSTORE", P .. "open", 2, P .. "waits", P .. "lease")
        end
      end
    end
  end

  -- How many of a tenant run is what `lease` says.
  local function count_running(P)
    local running = {}
    for _, id in ipairs(redis.call("ZRANGE", P .. "lease", 0, COUNT_AT_MOST)) do
      local tenant = place(P, id)
      running[tenant] = (running[tenant] or 0) + 1
    end
    for _, tenant in ipairs(set_right(P, "tact", running)) do
      uncap(P, tenant)
    end
    local capped = redis.call("ZRANGE", P .. "capped", 0, COUNT_AT_MOST - 1, "WITHSCORES")
    for i = 1, #capped, 2 do
      if (running[capped[i]] or 0) < tonumber(capped[i + 1]) then
        uncap(P, capped[i])
      end
    end
  end

  -- Whether these are the members of a sorted set, and so many.
  local function are_members(P, name, wanted, number)
    local found = redis.call("ZRANGE", P .. name, 0, COUNT_AT_MOST)
    for _, id in ipairs(found) do
      if not wanted[id] then
        return false
      end
    end
    return #found == number
  end

  -- Of more recordings than are counted anew it is looked whether all can be there.
  local function doubt_recordings(P, kept)
    local lasting = kept - redis.call("ZCARD", P .. "recordings_until")
    if redis.call("ZCARD", P .. "recordings") ~= kept or lasting < 0 or lasting > redis.call("ZCARD", P .. "dead") then
      redis.call("UNLINK", P .. "recordings", P .. "recordings_until", P .. "recordings_size", P .. "recordings_bytes")
    end
  end

  -- What there is says `recordings_size`; when it ended, and how long it is kept, the job itself. One that is gone counts no more.
  local function set_recordings(P, sizes, letters)
    redis.call("UNLINK", P .. "recordings", P .. "recordings_until")
    for id in pairs(sizes) do
      local known = fields(P, id, "ended_ms", "keep_s")
      if not known[1] then
        redis.call("HDEL", P .. "recordings_size", id)
        sizes[id] = nil
      else
        local ended = counted(known[1])
        redis.call("ZADD", P .. "recordings", whole(ended), id)
        if not letters[id] then
          redis.call("ZADD", P .. "recordings_until", whole(ended + asked("keep_s", known[2]) * 1000), id)
        end
      end
    end
  end

  local function count_recordings(P)
    local kept, lasting = redis.call("HLEN", P .. "recordings_size"), 0
    if kept > COUNT_AT_MOST then
      return doubt_recordings(P, kept)
    end
    local flat, letters, sizes, expiring, sum = redis.call("HGETALL", P .. "recordings_size"), {}, {}, {}, 0
    for _, id in ipairs(redis.call("ZRANGE", P .. "dead", 0, COUNT_AT_MOST)) do
      letters[id] = true
    end
    for i = 1, #flat, 2 do
      local id = flat[i]
      sizes[id], expiring[id] = counted(flat[i + 1]), not letters[id]
      lasting = lasting + (letters[id] and 1 or 0)
    end
    if not are_members(P, "recordings", sizes, kept) or not are_members(P, "recordings_until", expiring, kept - lasting) then
      set_recordings(P, sizes, letters)
    end
    for _, size in pairs(sizes) do
      sum = sum + size
    end
    if (try("GET", P .. "recordings_bytes") or "0") ~= whole(sum) then
      redis.call("SET", P .. "recordings_bytes", whole(sum))
    end
  end

  -- All have been passed. Of dead letters those count that have a program. (`suspect` was the version's before.)
  local function count_anew(P, round)
    redis.call("UNLINK", P .. "suspect")
    for class = 0, 2 do -- who is in a round already brings no class along
      if redis.call("EXISTS", P .. "turns" .. class) == 1 then
        join(P, "turns", class, weight_of_class)
      end
    end
    if redis.call("ZCARD", P .. "lease") <= COUNT_AT_MOST then
      count_running(P)
    end
    count_recordings(P)
    if not round.sure then
      return
    end
    local bytes = round.bytes
    for _, id in ipairs(redis.call("ZRANGE", P .. "dead", 0, COUNT_AT_MOST)) do
      bytes = bytes + counted_bytes(field(P, id, "held"))
    end
    if bytes == 0 then
      redis.call("UNLINK", P .. "bytes")
    elseif counted(try("GET", P .. "bytes")) ~= bytes then
      redis.call("SET", P .. "bytes", whole(bytes))
    end
    if round.tenants <= COUNT_AT_MOST then
      set_right(P, "topen", round.jobs)
    end
  end

  -- It is queued: then it waits, in its line or put off. Returns whether it did not.
  local function set_waiting(P, id, now, known)
    local tenant, class = place_of(known[2], known[3], known[4])
    local missed = false
    if not redis.call("ZSCORE", P .. "waits", id) then
      local max_wait_s = asked_field(P, id, "max_wait_s")
      redis.call("ZADD", P .. "waits", whole(now + max_wait_s * 1000), id)
      guard(P, id, max_wait_s, true)
      missed = true
    end
    local due = redis.call("ZSCORE", P .. "delayed", id)
    if due then
      if not force("ZSCORE", P .. "later:" .. tenant, id) then
        put_off(P, id, due, tenant)
      end
      return missed
    end
    if not force("ZSCORE", P .. "line" .. line_of(tenant, class), id) then
      put_in_line(P, id, false, tenant, class)
      missed = true
    end
    if not redis.call("ZSCORE", P .. "capped", tenant) then
      join_class(P, class, tenant)
    end
    return missed
  end

  -- Where nobody runs it, and its result was not told, it runs again: whoever holds its token has as long to say that he does as
  -- one who was missed. Of what is wrong with a job in line the claim tells that comes to it; only where nothing says which line
  -- that is, none may ever come. Returns whether it was not where it should be.
  local function look_after(P, id, now, lease_ms, known)
    local state, cancel, token = known[1], known[6], known[7]
    if redis.call("ZSCORE", P .. "lease", id) then
      return false
    end
    if not state and not known[2] and not known[3] then
      if expire_forgotten(P, id, now) then
        return true
      end
      local tenant, class = place_of()
      local _, problem = examine(P, id, class, tenant)
      leave_line(P, id)
      bury_malformed(P, id, class, tenant, problem)
      return true
    end
    if (not state or state == "queued") and not cancel then
      return set_waiting(P, id, now, known)
    end
    leave_line(P, id)
    if state == "running" and token and not cancel then
      miss(P, id, now, lease_ms)
    elseif state ~= "running" and find_result(P, id) then
      close(P, id, state, (place_of(known[2], known[3], known[4])), counted(field(P, id, "attempt")), counted_bytes(known[5]),
            asked_field(P, id, "keep_s"), now)
    else
      give_back(P, id, "the queue had lost sight of it")
    end
    return true
  end

  -- The next of `open`, with their scores, and up to which score these are all.
  local function next_open(P, round)
    local from = round.after and "(" .. round.after or "-inf"
    local found = redis.call("ZRANGE", P .. "open", from, "+inf", "BYSCORE", "LIMIT", 0, AUDIT_AT_MOST, "WITHSCORES")
    local last = found[#found]
    if #found < 2 * AUDIT_AT_MOST then
      return found, "+inf"
    end
    if found[2] == last then
      found = redis.call("ZRANGE", P .. "open", last, last, "BYSCORE", "LIMIT", 0, COUNT_AT_MOST, "WITHSCORES")
      round.sure = round.sure and #found < 2 * COUNT_AT_MOST
      return found, last
    end
    while found[#found] == last do
      found[#found], found[#found - 1] = nil, nil
    end
    return found, found[#found]
  end

  local function audit_some(P, round, now, lease_ms)
    local found, through = next_open(P, round)
    local counts = {}
    for i = 1, #found, 2 do
      local known = try("HMGET", P .. "job:" .. found[i], "state", "line", "tenant", "priority", "bytes", "cancel", "token") or {}
      local missed = look_after(P, found[i], now, lease_ms, known)
      if not missed or redis.call("ZSCORE", P .. "open", found[i]) then
        counts[#counts + 1] = {(place_of(known[2], known[3], known[4])), counted_bytes(known[5])}
      end
      round.hurry = round.hurry or missed
    end
    round.after, round.through = through, through == "+inf" and math.huge or tonumber(through)
    for _, count_of in ipairs(counts) do
      note_open(P, round.through, count_of[1], 1, count_of[2])
    end
  end

  function audit(P, now, lease_ms)
    local round = round_of(P)
    if round and not round.hurry and now >= round.at and now - round.at < AUDIT_MS then
      return
    end
    if not round or round.through == math.huge then
      round = begin_round(P, round and round.hurry, now)
    end
    mark_round(P, round, now)
    audit_some(P, round, now, lease_ms)
    if round.through == math.huge then
      count_anew(P, round)
      round.hurry = false
    end
  end
end
