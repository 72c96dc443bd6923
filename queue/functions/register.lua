-- SPDX-License-Identifier: MIT
---- registration ----

-- Calls of relays mend what they stumble over. (A client's user may not, and need not: relays come by.) Whatever it was, it may
-- have been a right.
local MENDS = {claim = true, beat = true, finish = true, lost = true, requeue = true, recover = true, tend = true}

local function attempt(name, callback, P, args, n)
  if not NEEDS[name] then
    return callback(P, args)
  end
  local done, reply = pcall(callback, P, args, n)
  if not done then
    pcall(distrust)
    if MENDS[name] then
      pcall(mend, P)
    end
    return redis.error_reply(type(reply) == "table" and reply.err or "DAMAGED " .. tostring(reply))
  end
  return reply
end

-- The first answer that is a job, and of which queue; else in how long one of them is to be asked again. One that fails is in
-- no other's way.
local function first_of(names, ask)
  local idle_ms, failure = math.huge
  for i = 1, #names do
    local reply = ask(i)
    if reply[1] == "id" then
      reply[#reply + 1], reply[#reply + 2] = "queue", names[i]
      return reply
    end
    failure = failure or reply.err and reply
    idle_ms = math.min(idle_ms, tonumber(reply[2]) or math.huge)
  end
  return failure or idle_ms < math.huge and {"idle_ms", whole(idle_ms)} or {}
end

-- A pool may serve several queues, of one slot of a Cluster: its relays call these with the keys of all of them, in the order
-- in which they are to be asked. How each call's answers become one. `ask(i)` calls the function for a queue.
local SEVERAL = {
  claim = first_of,
  -- In how long one is to be tended again, and what is to be said of all. What one has given away is passed on, also where
  -- another fails: that shows the next time.
  tend = function(names, ask)
    local idle_ms, lists, failure = math.huge, {untold = {}, marks = {}}
    for i = 1, #names do
      local reply = ask(i)
      failure = failure or reply.err and reply
      for k = 1, #reply, 2 do
        idle_ms = math.min(idle_ms, reply[k] == "idle_ms" and tonumber(reply[k + 1]) or math.huge)
        for _, word in ipairs(lists[reply[k]] and reply[k + 1] or {}) do
          table.insert(lists[reply[k]], word)
        end
      end
    end
    if failure and not lists.untold[1] then
      return failure
    end
    local answer = idle_ms < math.huge and {"idle_ms", whole(idle_ms)} or {}
    for name, list in pairs(lists) do
      if list[1] then
        answer[#answer + 1], answer[#answer + 2] = name, list
      end
    end
    return answer
  end,
  recover = function(names, ask)
    local found = {}
    for i = 1, #names do
      local reply = ask(i)
      if reply.err and not string.find(reply.err, "^NOPERM") then
        return reply
      end
      for _, id in ipairs(reply) do
        found[#found + 1] = id
      end
    end
    return found
  end,
}

-- The names of some keys' queues, and their P; or nil.
local function queues_of(keys)
  local names, prefixes = {}, {}
  for i, key in ipairs(keys) do
    prefixes[i], names[i] = string.match(key, "^(paddock:{([%w_.-]+)}:)open$")
    if not names[i] or #names[i] > QUEUE_AT_MOST then
      return nil
    end
  end
  return names[1] and names, prefixes
end

-- `n`: P's queue is the n-th that is asked.
local function call(name, callback, P, args, n)
  local missing = missing_right(P, name, args)
  if missing then
    return redis.error_reply("NOPERM paddock_" .. name .. " needs a right that its user has not: " .. missing ..
                             " of " .. P)
  end
  return attempt(name, callback, P, args, n)
end

local function register(name, callback, ...)
  local function checked(keys, args)
    local names, prefixes = queues_of(keys)
    if not names or names[2] and not SEVERAL[name] then
      return redis.error_reply("BADKEY the one key is paddock:{QUEUE}:open")
    end
    if not names[2] then
      return call(name, callback, prefixes[1], args)
    end
    return SEVERAL[name](names, function(i)
      return call(name, callback, prefixes[i], args, i)
    end)
  end
  redis.register_function({function_name = "paddock_" .. name, callback = checked, flags = {...}})
end

-- Without allow-oom Redis itself answers -OOM, as it does to input, when its memory is used up. All else goes on, so
-- that what is queued can be run and freed; an enqueue uses memory that its upload was granted.
register("enqueue", enqueue, "allow-oom")
register("claim", claim, "allow-oom")
register("cancel", cancel, "allow-oom")
register("input", input)
register("input_from", input_from, "no-writes")
register("tend", tend, "allow-oom")
register("beat", beat, "allow-oom")
register("finish", finish_running, "allow-oom")
register("lost", lost, "allow-oom")
register("requeue", requeue, "allow-oom")
register("recover", recover, "allow-oom")
register("position", position, "no-writes")
register("depth", depth, "no-writes")
register("status", status, "no-writes")
register("tenants", tenants, "no-writes")
register("pause", pause, "allow-oom")
register("resume", resume, "allow-oom")
register("dead", dead, "no-writes")
register("dead_requeue", dead_requeue, "allow-oom")
register("dead_drop", dead_drop, "allow-oom")
register("version", version, "no-writes")
