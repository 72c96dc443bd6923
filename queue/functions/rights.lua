-- SPDX-License-Identifier: MIT
---- rights ----

-- What a function does it does as the user who calls it, and an error in the middle takes nothing back: a job would stand
-- nowhere. So a user's rights are looked at before: each command that the functions of his kind may give, and each kind of
-- key, one with the other. What a relay lacks holds up its jobs, and loses none. (deploy/redis-users.acl has the rights;
-- tests/queue/acl_test.py holds this list to what the functions do.)
--
-- To look each time would cost a third of a call, and no function can ask Redis whose call it is. So what was found right is
-- believed for a second: of the relay that says who it is when it begins an attempt, and else of whoever calls that function.
-- If one of them has not what another had, or has no more, one call stops in the middle, which an audit sees to; from then on
-- it is looked each time, for a minute after the last that was refused.
local RELAY = {"EXISTS recordings_until", "EXISTS rr0", "EXPIRE in:", "EXPIRE own:", "GET pace", "GETRANGE in:", "HDEL kept",
               "HEXISTS recordings_size", "HGET weights", "HGETALL tact", "HINCRBY topen", "HLEN recordings_size",
               "HMGET conf", "HSET job:", "INCRBY recordings_bytes", "INFO", "LPUSH wake", "LTRIM wake",
               "MEMORY USAGE frames:", "RPOP t0:", "RPOP untold", "HGETALL untold_more", "UNLINK untold_by",
               "SET audited", "SET suspect", "SET told:", "STRLEN zip:", "TYPE dead", "TYPE paused", "UNLINK bytes", "UNLINK ctl:",
               "XADD frames:", "XRANGE frames:", "XREVRANGE frames:", "XTRIM frames:", "ZADD later:", "ZADD turns", "ZCARD delayed",
               "ZADD turns0", "ZADD turns_had0", "ZPOPMIN line0:", "ZRANGE recordings", "ZREM capped", "ZREM lease",
               "ZSCORE waits", "ZUNIONSTORE open"}
local CLIENT = {"INFO", "DEL in:", "EXISTS up:", "EXPIRE later:", "GET audited", "GET recordings_bytes", "HDEL kept",
                "HEXISTS recordings_size", "HGET topen", "HGETALL tact", "HGET weights", "HINCRBY topen", "HMGET conf", "HSET job:",
                "INCRBY recordings_bytes", "LPOS ctl:", "LPUSH untold", "HINCRBY untold_by", "HINCRBY untold_more",
                "LPUSH wake", "LTRIM wake", "MEMORY USAGE frames:", "RENAME up: zip:", "SET bytes", "STRLEN up:",
                "TYPE job:", "UNLINK zip:", "XADD frames:", "XREVRANGE frames:", "XTRIM frames:", "ZADD line0:",
                "ZADD turns", "ZADD turns0", "ZADD turns_had0", "ZCARD delayed", "ZCARD lease", "ZCARD open",
                "ZRANGE recordings", "ZRANGE recordings_until", "ZREM dead", "ZSCORE capped", "ZSCORE waits"}
local INPUT = {"APPEND in:", "EXPIRE ctl:", "EXPIRE frames:", "GET audited", "GET bytes", "HDEL job:", "HEXISTS recordings_size",
               "HMGET conf", "HMGET job:", "HSET job:", "INCRBY bytes", "LPOS ctl:", "RPUSH ctl:", "SET bytes", "STRLEN in:",
               "UNLINK ctl:", "UNLINK zip:", "ZADD recordings_until", "ZRANGE dead", "ZREM dead", "ZSCORE open"}
local OPERATOR = {"EXISTS zip:", "EXPIRE frames:", "GET audited", "GET bytes", "HDEL kept", "HEXISTS recordings_size",
                  "HGET recordings_size", "HGET weights", "HGETALL tact", "HINCRBY topen", "HMGET conf", "HSET job:", "INCRBY recordings_bytes",
                  "LPUSH wake", "LTRIM wake", "SET bytes", "UNLINK in:", "ZADD line0:", "ZADD open",
                  "ZADD waits", "ZCARD delayed", "ZCARD lease", "ZRANGE dead", "ZREM recordings",
                  "ZREM recordings_until", "ZSCORE capped", "ZSCORE turns", "ZSCORE turns0", "ZSCORE turns_had0"}
local NEEDS = {claim = RELAY, tend = RELAY, beat = RELAY, finish = RELAY, lost = RELAY, requeue = RELAY, recover = RELAY,
               enqueue = CLIENT, cancel = CLIENT, input = INPUT, dead_requeue = OPERATOR, dead_drop = OPERATOR}

local distrust, missing_right
do
  -- A right as a list of words, of which those in capitals are the command's and the others keys. (Made when it is wanted
  -- first: while a library is loaded there is nothing to make it with.)
  local function words_of(rights, i)
    if type(rights[i]) == "string" then
      local words = {}
      for word in string.gmatch(rights[i], "%S+") do
        words[#words + 1] = word
      end
      rights[i] = words
    end
    return rights[i]
  end

  local function is_allowed(P, right)
    if #right == 2 then
      return redis.acl_check_cmd(right[1], P .. right[2])
    end
    local words = {}
    for i, word in ipairs(right) do
      words[i] = (i == 1 or string.find(word, "^%u+$")) and word or P .. word
    end
    return redis.acl_check_cmd(unpack(words))
  end

  local BY_OWNER = {claim = true, recover = true}
  local believed, believed_s, refused_s = {}, nil, 0

  function distrust()
    believed, refused_s = {}, tonumber(redis.call("TIME")[1])
  end

  -- What the caller may not do of what the function may come to do: a text, or nil.
  function missing_right(P, name, args)
    local rights = NEEDS[name]
    if not rights or not redis.acl_check_cmd("TIME") then
      return rights and "TIME"
    end
    local now_s = redis.call("TIME")[1]
    if now_s ~= believed_s then
      believed, believed_s = {}, now_s
    end
    local who = P .. name .. (BY_OWNER[name] and args[1] or "")
    if believed[who] then
      return nil
    end
    for i = 1, #rights do
      local right = words_of(rights, i)
      if not is_allowed(P, right) then
        distrust()
        return table.concat(right, " ")
      end
    end
    believed[who] = math.abs(now_s - refused_s) > DISTRUST_S
  end
end
