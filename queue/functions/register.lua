-- SPDX-License-Identifier: MIT
---- registration ----

-- Calls of relays mend what they stumble over. (A client's user may not, and need not: relays come by.) Whatever it was, it may
-- have been a right.
local MENDS = {claim = true, beat = true, finish = true, lost = true, requeue = true, recover = true}

local function attempt(name, callback, P, args)
  if not NEEDS[name] then
    return callback(P, args)
  end
  local done, reply = pcall(callback, P, args)
  if not done then
    pcall(distrust)
    if MENDS[name] then
      pcall(mend, P)
    end
    return redis.error_reply(type(reply) == "table" and reply.err or "DAMAGED " .. tostring(reply))
  end
  return reply
end

local function register(name, callback, ...)
  local function checked(keys, args)
    local P, queue = string.match(keys[1] or "", "^(paddock:{([%w_.-]+)}:)open$")
    if not P or #queue > QUEUE_AT_MOST then
      return redis.error_reply("BADKEY the one key is paddock:{QUEUE}:open")
    end
    local missing = missing_right(P, name, args)
    if missing then
      return redis.error_reply("NOPERM paddock_" .. name .. " needs a right that its user has not: " .. missing)
    end
    return attempt(name, callback, P, args)
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
