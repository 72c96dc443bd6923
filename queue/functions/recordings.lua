-- SPDX-License-Identifier: MIT
---- recordings of jobs that are final ----

-- Each has its size in `recordings_size`, when it ended in `recordings` and, if it expires, when in `recordings_until`;
-- `recordings_bytes` is the sum. What Redis has expired is noticed by its time.
local function forget_recording(P, id)
  local size = redis.call("HGET", P .. "recordings_size", id)
  if size then
    redis.call("HDEL", P .. "recordings_size", id)
    redis.call("ZREM", P .. "recordings", id)
    redis.call("ZREM", P .. "recordings_until", id)
    add(P, "recordings_bytes", -counted(size))
  end
end

local function reap_recordings(P, now)
  for _, id in ipairs(redis.call("ZRANGE", P .. "recordings_until", "-inf", whole(now), "BYSCORE", "LIMIT", 0,
                                 REAP_AT_MOST)) do
    forget_recording(P, id)
    redis.call("ZREM", P .. "recordings_until", id) -- also where nothing says how large it is
  end
end

-- The result is the last entry; but it was no last one for ever that the version before this one told. How much was sent behind
-- that one has an end: where nothing was found by then there is none.
local function find_result(P, id)
  local from, count = "+", 1
  for _ = 0, RESULT_WITHIN do
    local found = try("XREVRANGE", P .. "frames:" .. id, from, "-", "COUNT", count) or {}
    for _, entry in ipairs(found) do
      if entry[2][2] == "result" then
        return entry
      end
    end
    if not found[1] then
      return nil
    end
    from, count = "(" .. found[#found][1], 256
  end
end

-- Redis's memory: what is used, at most (0: there is no such bound), and how often it has refused a command for that.
local function memory()
  local info = try("INFO", "memory", "errorstats")
  if type(info) ~= "string" then
    return 0, 0
  end
  return tonumber(string.match(info, "\nused_memory:(%d+)") or 0), tonumber(string.match(info, "\nmaxmemory:(%d+)") or 0),
         string.match(info, "\nerrorstat_OOM:count=(%d+)")
end

local share_recordings
do
  local function leave_result(P, id)
    local result = find_result(P, id)
    if result and result[1] == LAST_ID then
      try("XTRIM", P .. "frames:" .. id, "MINID", LAST_ID)
      return
    end
    try("XTRIM", P .. "frames:" .. id, "MAXLEN", 0)
    if result then
      try("XADD", P .. "frames:" .. id, LAST_ID, unpack(result[2]))
    end
  end

  -- Also of the one that is `ending`, which is open yet.
  local function cut_recording(P, id, ending)
    redis.call("ZREM", P .. "recordings", id) -- also where nothing says how large it is
    if id ~= ending and redis.call("ZSCORE", P .. "open", id) then
      return forget_recording(P, id) -- the id has been used again
    end
    leave_result(P, id)
    if redis.call("TYPE", P .. "job:" .. id).ok == "hash" then
      redis.call("HSET", P .. "job:" .. id, "recording_cut", "1")
    end
    forget_recording(P, id)
  end

  -- Jobs that are to run come before those that have: where three quarters of Redis's memory are used recordings give way, but
  -- for a sixteenth of it, for it may be others than jobs that take so much; where hardly any is left all of them do.
  local SHARED, SPARED, FULL = 3 / 4, 1 / 16, 15 / 16

  -- What recordings may take that take so much now, where there is to be room for something.
  local function most_of_recordings(P, held, room)
    local most = configured(P, "recordings_mb") * 1048576
    local used, maximum = memory()
    if maximum == 0 then
      return most
    end
    local over = math.min(used - maximum * SHARED, held - maximum * SPARED)
    return math.min(most, held - math.max(over, used + room - maximum * FULL))
  end

  -- Returns how many were cut, and whether more are to be.
  function share_recordings(P, now, ending, room)
    reap_recordings(P, now)
    local held = counted(try("GET", P .. "recordings_bytes"))
    local most = most_of_recordings(P, held, room)
    for cut = 0, REAP_AT_MOST - 1 do
      local oldest = held > most and redis.call("ZRANGE", P .. "recordings", 0, 0)[1]
      if not oldest then
        return cut, false
      end
      cut_recording(P, oldest, ending)
      held = counted(try("GET", P .. "recordings_bytes"))
    end
    return REAP_AT_MOST, held > most
  end
end

-- What Redis itself says that the Stream takes, slices of lost attempts included. Returns whether it counts.
local function note_recording(P, id, now)
  local size = try("MEMORY", "USAGE", P .. "frames:" .. id, "SAMPLES", 0)
  forget_recording(P, id)
  if type(size) ~= "number" or size <= SMALL_RECORDING then
    return false
  end
  redis.call("HSET", P .. "recordings_size", id, whole(size))
  redis.call("ZADD", P .. "recordings", whole(now), id)
  add(P, "recordings_bytes", size)
  share_recordings(P, now, id, 0)
  return true
end

-- Hash and Stream of a final job, without what only a program needs that is to run; `recorded`: its recording may count.
local function expire_after(P, id, keep_s, now, recorded)
  redis.call("HDEL", P .. "job:" .. id, "stdin", "argv", "host")
  redis.call("EXPIRE", P .. "job:" .. id, keep_s)
  redis.call("EXPIRE", P .. "frames:" .. id, keep_s)
  if recorded and redis.call("HEXISTS", P .. "recordings_size", id) == 1 then
    redis.call("ZADD", P .. "recordings_until", whole(now + keep_s * 1000), id)
  end
end
