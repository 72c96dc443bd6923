-- SPDX-License-Identifier: MIT
---- counts that are made anew ----

-- An audit goes round all of `open`, by the time of their enqueue, and sums up what it comes by. Who has been passed and
-- then ends, or comes in where the round has passed, is noted: so when all have been passed, the sums are true, however
-- much has happened meanwhile. They are in memory, and are begun anew by a new server. Each is known by what its last step left
-- in `audited`: databases of one Redis can have queues of one name, and no function is told in which it runs.
local rounds = {}

local function round_of(P)
  local mark = try("GET", P .. "audited")
  return mark and rounds[P .. mark]
end

local function note_open(P, since, tenant, jobs, bytes)
  local round = round_of(P)
  if round and tonumber(since) <= round.through then
    local number = (round.jobs[tenant] or 0) + jobs
    round.tenants = round.tenants + (number ~= 0 and 1 or 0) - (round.jobs[tenant] and 1 or 0)
    round.jobs[tenant] = number ~= 0 and number or nil
    round.bytes = round.bytes + bytes
  end
end

-- The counts of a hash as they should be: `right` has them by their names. Returns those that were too high.
local function set_right(P, key, right)
  local counts, too_high, seen = try("HGETALL", P .. key) or {}, {}, {}
  for i = 1, #counts, 2 do
    local name, number = counts[i], right[counts[i]]
    seen[name] = counts[i + 1]
    if not number then
      redis.call("HDEL", P .. key, name)
    end
    if (number or 0) < counted(counts[i + 1]) then
      too_high[#too_high + 1] = name
    end
  end
  for name, number in pairs(right) do
    if seen[name] ~= whole(number) then
      force("HSET", P .. key, name, whole(number))
    end
  end
  return too_high
end
