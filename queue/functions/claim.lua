-- SPDX-License-Identifier: MIT
---- claim ----

local next_job
do
  -- Takes an id that stood in line. Returns the job if it is to run.
  local function take(P, id, class, tenant, now)
    local wait = redis.call("ZSCORE", P .. "waits", id)
    local job, problem = examine(P, id, class, tenant)
    local state = job and job.state or field(P, id, "state")
    redis.call("ZREM", P .. "waits", id)
    if not wait and state and state ~= "queued" then
      return nil -- somebody else's doing: it stands where it did not wait
    end
    if wait and tonumber(wait) <= now then
      expire(P, id)
      return nil
    end
    if not job then
      bury_malformed(P, id, class, tenant, problem)
    elseif job.cancel then -- somebody was kept from saying more than that
      finish_by_queue(P, id, "cancelled", "cancelled", "cancelled while it waited")
      return nil
    end
    return job
  end

  local function leave_empty(P, class, tenant)
    if redis.call("EXISTS", P .. "line" .. class .. ":" .. tenant) == 0 then
      leave(P, class, tenant)
    end
  end

  local function next_in_line(P, class, tenant)
    local line = P .. "line" .. class .. ":" .. tenant
    local popped = try("ZPOPMIN", line)
    if not popped then
      redis.call("UNLINK", line)
    end
    return popped and popped[1]
  end

  -- Whose turn it is: a class, then a tenant of it, then its job. Returns the id and the job, or nil if nobody waits.
  function next_job(P, now, cap, weights)
    for _ = 1, SKIP_AT_MOST do
      local classes = redis.call("ZRANGE", P .. "turns", 0, 1, "WITHSCORES")
      local member = classes[1]
      if not member then
        return nil
      end
      local class = CLASS_OF[member]
      local round = "turns" .. member
      local tenant = class and redis.call("ZRANGE", P .. round, 0, 0)[1]
      if not class then
        redis.call("ZREM", P .. "turns", member)
      elseif not tenant then
        pass_over(P, "turns", class)
      elseif cap > 0 and running_of(P, tenant) >= cap then
        pass_over(P, round, tenant)
        redis.call("ZADD", P .. "capped", whole(cap), tenant)
        begin_own(P, tenant)
      else
        local line, own = class, false
        if cap > 0 then
          line, own = own_class(P, tenant, class)
        end
        local id = next_in_line(P, line, tenant)
        local job = id and take(P, id, line, tenant, now)
        if job then -- whose turn it was has had it, whichever of its jobs it is
          serve_tenant(P, round, tenant, weight_of(P, tenant))
          serve_class(P, classes, weights[class])
          if own then
            serve(P, "own:" .. tenant, line, weights[line])
          end
        end
        leave_empty(P, line, tenant) -- also where its last job was none, or was over
        if line ~= class then
          leave_empty(P, class, tenant)
        end
        if job then
          return id, job
        end
      end
    end
    wake(P) -- the rest is the next claim's
  end
end

-- Returns the first fields of the claim's answer.
local function start(P, id, job, owner, lease_ms, max_deliveries, now)
  local attempt = counted(job.attempt) + 1
  local token = owner .. ":" .. whole(now) .. ":" .. whole(attempt)
  local since = job.queued_ms or job.enqueued_ms -- the version before had but that
  local queue_ms = since and math.max(now - counted(since), 0) or 0
  local wall_s = math.ceil(job.wall_ms / 1000)
  count(P, "tact", job.tenant, 1)
  redis.call("HSET", P .. "job:" .. id, "state", "running", "owner", owner, "token", token, "started_ms",
             whole(now), "queue_ms", whole(queue_ms), "max_deliveries", whole(max_deliveries), "attempt",
             whole(attempt), "lease_ms", whole(math.min(lease_ms, LEASE_AT_MOST)))
  local told = tell(P, id, "state", attempt, {"kind", "state", "state", "running", "attempt", attempt, "time_ms", now,
                                              "queue_ms", queue_ms})
  redis.call("EXPIRE", P .. "frames:" .. id, wall_s + job.keep_s + SPARE_S)
  guard(P, id, wall_s + job.max_wait_s, job.live_input == "1")
  hold(P, id, now, lease_ms)
  return {"id", id, "token", token, "attempt", whole(attempt), "queue_ms", whole(queue_ms), "after", told}
end

-- What most calls find nothing of, by one look. Returns whether the queue is paused.
local function tend_rarities(P, now, cap)
  if redis.call("EXISTS", P .. "delayed", P .. "capped", P .. "dead", P .. "recordings_until", P .. "paused",
                P .. "rr0", P .. "rr1", P .. "rr2") == 0 then
    return false
  end
  promote(P, now)
  uncap_raised(P, cap)
  reap_dead(P, now)
  reap_recordings(P, now)
  adopt(P)
  return redis.call("EXISTS", P .. "paused") == 1
end

-- How long nothing will be due of these sorted sets, as {"idle_ms", MS}; {} where nothing ever is.
local function idle(P, now, ...)
  local due = math.huge
  for _, name in ipairs({...}) do
    due = math.min(due, tonumber(redis.call("ZRANGE", P .. name, 0, 0, "WITHSCORES")[2]) or due)
  end
  return due < math.huge and {"idle_ms", whole(math.max(due - now, 0) + 1)} or {}
end

-- The answer of a claim that finds no job, for a caller that wants to know when to look again. Nobody else looks at `open`
-- while there is nothing to do, and clients cannot mend it.
local function nothing(P, now, wanted)
  redis.call("ZCARD", P .. "open")
  return wanted and idle(P, now, "delayed", "lease", "waits") or {}
end

-- What time demands of all jobs. Claims see to it; one relay of each pool does, too, all the time, for no claim comes while
-- all have a job, and of a paused queue none does anything else.
local function look_around(P, now, lease_ms)
  reap_leases(P, now, lease_ms)
  reap_waits(P, now)
  audit(P, now, lease_ms)
end

local tend
do
  -- How many there were more of each verdict: rows without an id, with a number in the place of the attempt.
  local function append_more(P, queue, flat)
    local more = force("HGETALL", P .. "untold_more")
    for i = 1, #more, 2 do
      for _, word in ipairs({queue, "", whole(counted(more[i + 1])), more[i], "", "too many to name each"}) do
        flat[#flat + 1] = word
      end
    end
    redis.call("UNLINK", P .. "untold_more")
  end

  -- {queue, id, attempt, verdict, tenant, detail ...} of what relays are still to say, and whether there is more.
  local function fetch_untold(P)
    local texts = force("RPOP", P .. "untold", 5 * UNTOLD.at_once) or {}
    local queue, flat, by = string.match(P, "{(.*)}"), {}, {[EVERYBODY] = math.floor(#texts / 5)}
    for i = 1, #texts - 4, 5 do
      flat[#flat + 1] = queue
      for k = i, i + 4 do
        flat[#flat + 1] = texts[k]
      end
      by[texts[i + 3]] = (by[texts[i + 3]] or 0) + 1
    end
    local more = #texts == 5 * UNTOLD.at_once
    if more then
      for name, number in pairs(by) do
        count(P, "untold_by", name, -number)
      end
    else
      redis.call("UNLINK", P .. "untold_by") -- nobody has any, whatever was made of it
    end
    append_more(P, queue, flat)
    return flat, more
  end

  local MARK = {min = 1, max = 1e18} -- another is no relay's, and would never be heard

  -- What a pool was given last, and has not heard: {mark = MARK, words = WORDS}, of which `heard` is not the mark. Nil where there
  -- is nothing, or something else.
  local function unheard(P, pool, heard)
    local done, given = pcall(cjson.decode, try("GET", P .. "told:" .. pool) or "")
    local is_one = done and type(given) == "table" and type(given.words) == "table" and type(given.mark) == "string"
                   and CHECKS.number(MARK, given.mark) and #given.words % 6 == 0
    for _, word in ipairs(is_one and given.words or {}) do
      is_one = is_one and type(word) == "string"  -- or what stands behind it would be another queue's
    end
    return is_one and given.mark ~= heard and given or nil
  end

  -- The same for a pool, and whether there is more. Whoever of it asks is given it again, unchanged and with the mark that it got
  -- (when it was made, so that no other has it), until `heard` is that mark: what ends meanwhile is for the next. (Relays of the
  -- version before bring a mark, with which the last that was given it can say so. Those of the one before that have none: they hear
  -- what they are given, or nobody does.)
  local function untold(P, pool, heard, mark)
    local given, more = pool and unheard(P, pool, heard), true
    if not given then
      local now, micros = now_ms()
      given = {mark = whole(now * 1000 + micros)}
      given.words, more = fetch_untold(P)
    end
    given.mark = mark or given.mark
    if pool and given.words[1] then
      redis.call("SET", P .. "told:" .. pool, cjson.encode(given), "EX", UNTOLD.keep_s)
    elseif pool then
      redis.call("UNLINK", P .. "told:" .. pool)
    end
    return given, more
  end

  local function note_heard(P, pool, heard)
    if not unheard(P, pool, heard) then
      redis.call("UNLINK", P .. "told:" .. pool)
    end
  end

  local function word_of(text, n)
    for word in string.gmatch(text or "", "%S+") do
      n = n - 1
      if n == 0 then
        return word
      end
    end
  end

  -- What a relay asks for behind the lease, of the n-th queue that it asks. Returns what is to be said, as `untold` does.
  local TELLS = {
    ends = function(P, args, n)
      return untold(P, args[3] or "", word_of(args[4], n))
    end,
    heard = function(P, args, n)
      note_heard(P, args[3] or "", word_of(args[4], n))
    end,
    untold = function(P, args) -- the versions before, which take no mark
      local given, more = untold(P, args[5] and args[3], args[4], args[5])
      return {words = given.words}, more
    end,
  }

  -- {"idle_ms", MS}, or {} where nothing will be due; with "ends" as a second argument also what is to be said: "untold" with the
  -- words, and "marks", {queue, mark}. Behind "ends" come the name of the caller's pool and the marks of what it has heard last, of
  -- each queue; behind "heard" the same, to say that alone.
  function tend(P, args, n)
    local now, lease_ms = now_ms(), within(args[1], 1, 1e9)
    if not lease_ms then
      return redis.error_reply("BADCALL takes the lease in ms")
    end
    look_around(P, now, lease_ms)
    local paused = tend_rarities(P, now, configured(P, "max_tenant_running"))
    if redis.call("TYPE", P .. "wake").ok ~= "list" then -- relays wait at it for all of their queues at once
      redis.call("UNLINK", P .. "wake")
      if not paused and redis.call("EXISTS", P .. "turns") == 1 then
        wake(P) -- who was woken may stand still
      end
    end
    local _, more = share_recordings(P, now, nil, 0)
    local told, more_told
    if TELLS[args[2]] then
      told, more_told = TELLS[args[2]](P, args, n or 1)
    end
    local answer = (more or more_told) and {"idle_ms", "1"} or idle(P, now, "delayed", "lease", "waits")
    if told and told.words[1] then
      answer[#answer + 1], answer[#answer + 2] = "untold", told.words
      if told.mark then
        answer[#answer + 1], answer[#answer + 2] = "marks", {string.match(P, "{(.*)}"), told.mark}
      end
    end
    return answer
  end
end

local function claim(P, args)
  local owner, now = args[1] or "", now_ms()
  local lease_ms, max_deliveries = within(args[2], 1, 1e9), within(args[3], 1, 1e9)
  if owner == "" or not lease_ms or not max_deliveries then
    return redis.error_reply("BADCALL takes an owner, the lease in ms and how often a job may be begun")
  end
  look_around(P, now, lease_ms)
  local cap, interactive, normal, batch = configured(P, "max_tenant_running", "weight_interactive", "weight_normal",
                                                     "weight_batch")
  if tend_rarities(P, now, cap) then
    return {}
  end
  local id, job = next_job(P, now, cap, {[0] = interactive, normal, batch})
  if not id then
    return nothing(P, now, args[4])
  end
  local answer = start(P, id, job, owner, lease_ms, max_deliveries, now)
  answer[#answer + 1], answer[#answer + 2] = "waiting", whole(jobs_waiting(P))
  for name in pairs(FIELDS) do
    answer[#answer + 1], answer[#answer + 2] = name, job[name]
  end
  return answer
end
