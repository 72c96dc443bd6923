-- SPDX-License-Identifier: MIT
---- time passes ----

local function over(P, name, now, most)
  return redis.call("ZRANGE", P .. name, "-inf", whole(now), "BYSCORE", "LIMIT", 0, most)
end

-- A lease has two halves: one until its owner is missed, and one, from the claim on that missed him, in which he can still
-- say that he is there. When Redis itself stood still, or its clock was put on, leases have run out whose owners are as well
-- as ever; and they beat every third of a lease. A score with a fraction is of the second half. How long a lease is says its
-- owner, in the job's `lease_ms`: whoever misses him may have a shorter one. (The version before did not say it.)
local MISSED = 0.5

local function hold(P, id, now, lease_ms)
  redis.call("ZADD", P .. "lease", whole(now + math.floor(math.min(lease_ms, LEASE_AT_MOST) / 2)), id)
end

local function miss(P, id, now, lease_ms)
  local own_ms = whole_within(field(P, id, "lease_ms"), 1, LEASE_AT_MOST, math.min(lease_ms, LEASE_AT_MOST))
  redis.call("ZADD", P .. "lease", string.format("%.1f", now + math.ceil(own_ms / 2) + MISSED), id)
end

-- Idle relays look all the time. So who was missed, and whose time was over long before anybody looked, was missed before
-- the clock was put on; and a lease that ends later than one can was given before it was put back.
local function reap_leases(P, now, lease_ms)
  local past = redis.call("ZRANGE", P .. "lease", "-inf", whole(now), "BYSCORE", "LIMIT", 0, REAP_AT_MOST, "WITHSCORES")
  for i = 1, #past, 2 do
    if past[i + 1] % 1 == MISSED and now - past[i + 1] < LEASE_AT_MOST then
      give_back(P, past[i], field(P, past[i], "state") and "its lease ran out: the worker or its host is gone"
                            or "its fields are gone from Redis")
    else
      miss(P, past[i], now, lease_ms)
    end
  end
  for _, id in ipairs(redis.call("ZRANGE", P .. "lease", whole(now + LEASE_AT_MOST), "+inf", "BYSCORE", "LIMIT", 0,
                                 REAP_AT_MOST)) do
    miss(P, id, now, lease_ms)
  end
end

local function expire(P, id)
  finish_by_queue(P, id, "expired", "expired", "waited longer than max_wait_s")
end

-- A day after its times Redis itself lets a job go that nobody has tended: nothing is known of it then but that it has waited
-- for too long. Returns whether it is so.
local function expire_forgotten(P, id, now)
  local wait = redis.call("ZSCORE", P .. "waits", id)
  if not wait or wait + SPARE_S * 1000 > now or redis.call("EXISTS", P .. "zip:" .. id) == 1 then
    return false
  end
  leave_line(P, id)
  expire(P, id)
  return true
end

-- A queued job's wait is over. Of one whose fields are gone nothing is known but the line that it stands in: a claim will
-- come to it there.
local function reap_waits(P, now)
  for _, id in ipairs(over(P, "waits", now, REAP_AT_MOST)) do
    local known = fields(P, id, "tenant", "state")
    if known[1] and known[2] == "queued" then
      leave_line(P, id)
      expire(P, id)
    elseif not known[1] and redis.call("ZSCORE", P .. "open", id) then
      if not expire_forgotten(P, id, now) then
        redis.call("ZADD", P .. "waits", whole(now + SPARE_S * 1000), id)
      end
    else
      redis.call("ZREM", P .. "waits", id)
    end
  end
end

-- Who cannot be put off for that long was put off before the clock was put back: he is put off anew. Those who are due first
-- are looked at, up to one who is as he should be.
local function put_back(P, now)
  for rank = 0, PROMOTE_AT_MOST - 1 do
    local next_due = redis.call("ZRANGE", P .. "delayed", rank, rank, "WITHSCORES")
    local pause = next_due[1] and longest_pause(P, next_due[1])
    if not pause or next_due[2] - now <= pause then
      return
    end
    put_off(P, next_due[1], now + pause, (place(P, next_due[1])))
  end
end

-- A job that was lost goes to the front: it has had its turn.
local function promote(P, now)
  for _, id in ipairs(over(P, "delayed", now, PROMOTE_AT_MOST)) do
    redis.call("ZREM", P .. "delayed", id)
    force("ZREM", P .. "later:" .. (place(P, id)), id)
    put_in_line(P, id, counted(field(P, id, "lost")) > 0, place(P, id))
  end
  put_back(P, now)
end

-- The version before this had lists in the place of lines (`tCLASS:TENANT`), and rounds of other names. What it has
-- left there joins the end of the lines, but for what has ended meanwhile.
local function adopt(P)
  local room = ADOPT_AT_MOST
  for class = 0, 2 do
    for _, tenant in ipairs(redis.call("ZRANGE", P .. "rr" .. class, 0, SKIP_AT_MOST - 1)) do
      local ids = room > 0 and try("RPOP", P .. "t" .. class .. ":" .. tenant, room) or {}
      for _, id in ipairs(ids) do
        if redis.call("ZSCORE", P .. "waits", id) then
          put_in_line(P, id, false, place(P, id))
        end
      end
      if redis.call("EXISTS", P .. "t" .. class .. ":" .. tenant) == 0 then
        redis.call("ZREM", P .. "rr" .. class, tenant)
      end
      room = room - #ids
    end
  end
end
