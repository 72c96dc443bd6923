-- SPDX-License-Identifier: MIT
---- dead letters ----

-- A dead letter keeps its ZIP, which counts as bytes of the queue, and its input, hash and Stream, until it is dropped.
local function drop_letter(P, id, now)
  local known = fields(P, id, "held", "keep_s")
  redis.call("ZREM", P .. "dead", id)
  if redis.call("ZSCORE", P .. "open", id) then
    return -- the id has been used again
  end
  redis.call("UNLINK", P .. "zip:" .. id, P .. "in:" .. id)
  if known[1] then
    add(P, "bytes", -counted_bytes(known[1]))
    redis.call("HDEL", P .. "job:" .. id, "held")
  end
  expire_after(P, id, asked("keep_s", known[2]), now, true)
end

local function reap_dead(P, now)
  for _, id in ipairs(redis.call("ZRANGE", P .. "dead", "-inf", whole(now - DEAD_S * 1000), "BYSCORE", "LIMIT", 0,
                                 REAP_AT_MOST)) do
    drop_letter(P, id, now)
  end
end

local function bury(P, id, bytes, now)
  redis.call("ZADD", P .. "dead", whole(now), id)
  for _, key in ipairs({"job:", "frames:", "zip:", "in:"}) do
    redis.call("EXPIRE", P .. key .. id, DEAD_S + SPARE_S) -- a leak guard: it is `dead` that ends its time
  end
  if redis.call("EXISTS", P .. "zip:" .. id) == 1 then
    redis.call("HSET", P .. "job:" .. id, "held", whole(bytes))
  else
    add(P, "bytes", -bytes)
  end
  local over = math.min(redis.call("ZCARD", P .. "dead") - DEAD_AT_MOST, REAP_AT_MOST)
  for _, oldest in ipairs(over > 0 and redis.call("ZRANGE", P .. "dead", 0, over - 1) or {}) do
    drop_letter(P, oldest, now)
  end
end
