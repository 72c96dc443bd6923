-- SPDX-License-Identifier: MIT
---- while it runs ----

local of_attempt
do
  -- What the attempt was told that ended the job by giving it back, for `ends` has what is said of that: who did not hear it asks
  -- once more. What somebody else ended has other words.
  local function told_before(P, id, token, ends)
    local known = fields(P, id, "token", "state", "detail")
    return known[1] == token and ends[known[2]] == known[3] and known[2]
  end

  -- What the attempt that runs asks for; `refusal` is the answer to one that was given up. `ends_by`: how the step ends a job.
  function of_attempt(P, args, refusal, step, ends_by)
    local id, token = args[1], args[2]
    if not token then
      return redis.error_reply("BADCALL takes a job's id and token")
    end
    return redis.status_reply(holds(P, id, token) and step(id) or ends_by and told_before(P, id, token, ends_by(id)) or refusal)
  end
end

local beat
do
  -- What Redis has lost of the attempt that runs: it has come back with older data than it had. `slice` was the last that it took;
  -- `sum` is of the last 64 of the bytes of live input that the program was given (worker/relay/input.h). Returns false, or the answer.
  local function forgotten(P, id, slice, fed, sum)
    if slice ~= "" and not (try("XRANGE", P .. "frames:" .. id, slice, slice) or {})[1] then
      return "forgotten a part of its recording"
    end
    local is, last = 0, fed > 0 and try("GETRANGE", P .. "in:" .. id, whole(math.max(fed - 64, 0)), whole(fed - 1)) or ""
    for i = 1, #last do
      is = (is * 31 + string.byte(last, i)) % 2 ^ 32
    end
    return (#last ~= math.min(fed, 64) or is ~= sum) and "forgotten input that it was given"
  end

  -- The first on a connection says what the attempt had from the one before. The lease is held last: by a beat that fails it is
  -- not, or an attempt whose beats all do would run for ever.
  function beat(P, args)
    return of_attempt(P, args, "lost", function(id)
      local lease_ms, known = math.min(within(args[3], 1, 1e9, LEASE_AT_MOST), LEASE_AT_MOST), fields(P, id, "cancel", "lease_ms")
      local gone = args[4] and forgotten(P, id, args[4], within(args[5], 0, 1e12, 0), within(args[6], 0, 1e12, 0))
      if known[2] ~= whole(lease_ms) then -- the version before did not say it
        redis.call("HSET", P .. "job:" .. id, "lease_ms", whole(lease_ms))
      end
      hold(P, id, now_ms(), lease_ms)
      return gone or known[1] and "cancel" or "ok"
    end)
  end
end

local finish_running
do
  local NUMBERS = {exit_code = true, signal = true, cpu_ms = true, wall_ms = true, max_rss_kb = true, shared_kb = true,
                   memory_kb = true, frames_dropped = true}

  -- How long a job runs, of late: for paddock_position. In parts of a ms, else jobs that are a little shorter would not count.
  local function learn_pace(P, wall_ms)
    local mean = within(try("GET", P .. "pace"), 0, 1e9, wall_ms)
    redis.call("SET", P .. "pace", string.format("%.3f", mean + (wall_ms - mean) / 8), "EX", 86400)
  end

  -- Beyond these no relay says anything: it may have lost its mind.
  local NUMBER_AT_MOST = 2 ^ 53

  function finish_running(P, args)
    return of_attempt(P, args, "stale", function(id)
      local result, state = {}, "done"
      for i = 3, #args - 1, 2 do
        result[#result + 1] = args[i]
        result[#result + 1] = NUMBERS[args[i]] and within(args[i + 1], -NUMBER_AT_MOST, NUMBER_AT_MOST, 0) or args[i + 1]
        if args[i] == "verdict" and args[i + 1] == "cancelled" then
          state = "cancelled"
        end
        if args[i] == "wall_ms" then
          learn_pace(P, within(args[i + 1], 0, 1e9, 0))
        end
      end
      finish(P, id, state, result)
      return "done"
    end)
  end
end

local function lost(P, args)
  local detail = args[3] or "no reason given"
  return of_attempt(P, args, "stale", function(id)
    return give_back(P, id, detail, true)
  end, function(id)
    return ends_of(counted(field(P, id, "lost")), detail)
  end)
end

local function requeue(P, args)
  local cancelled = "cancelled while it ran"
  return of_attempt(P, args, "stale", function(id)
    if field(P, id, "cancel") then
      finish_by_queue(P, id, "cancelled", "cancelled", cancelled, true)
      return "cancelled"
    end
    release(P, id, 0)
    return "queued"
  end, function()
    return {cancelled = cancelled}
  end)
end

-- Live input from an offset on: {bytes, 1 if there are more of them, 1 if these end it}. Where something else stands in its place
-- the attempt is lost, as by a beat, and the next claim says why.
local function input_from(P, args)
  local id, offset, most = args[1], within(args[2], 0, 1e12), within(args[3], 1, 1e12)
  if not offset or not most then
    return redis.error_reply("BADCALL takes a job's id, an offset and how many bytes at most")
  end
  local bytes = try("GETRANGE", P .. "in:" .. id, whole(offset), whole(offset + most - 1))
  if not bytes then
    return redis.status_reply("forgotten its input")
  end
  local more = redis.call("STRLEN", P .. "in:" .. id) > offset + #bytes
  return {bytes, more and 1 or 0, (not more and field(P, id, "input_eof")) and 1 or 0}
end

-- Jobs that an owner knows nothing of. Why says the caller; the version before said so of a process that follows another.
local function recover(P, args)
  local owner, why, found = args[1], args[2] or "its worker process ended", {}
  for _, id in ipairs(redis.call("ZRANGE", P .. "lease", 0, -1)) do
    if field(P, id, "owner") == owner then
      give_back(P, id, why)
      found[#found + 1] = id
    end
  end
  return found
end
