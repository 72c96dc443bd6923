-- SPDX-License-Identifier: MIT
--
-- The queue, as a library of Redis Functions: every change of state is one call, and so one step. The build makes one
-- text of these files, in the order that ../CMakeLists.txt has, behind the tables VERSION, FIELDS and VERDICTS. Runs
-- inside Redis (Lua 5.1, sandboxed). Callers are clients (enqueue, cancel, input, position), operators (pause, resume,
-- dead letters) and relays; none can name a key of another queue: all keys are made from the one that is passed,
-- paddock:{QUEUE}:open (or those, from relays that serve several queues). P is its part before "open".
--
-- What is true of every job at every moment: it is in `open` unless it is final; it is in `lease` if and only if it is
-- running; it stands in `waits`, and in its tenant's line or in `delayed`, if and only if it is queued; it has one
-- `result` entry if and only if it is final. docs/PROTOCOL.md has the keys.
--
-- No call does more than a bounded amount of work, whatever has piled up: what is over is left to the next call. Calls
-- of relays do not fail for what is wrong with one job, for the job would then be in the way of all others.

local CLASSES = {interactive = 0, normal = 1, batch = 2}
local QUEUE_AT_MOST = 64       -- characters of a queue's name
local CLASS_OF = {["0"] = 0, ["1"] = 1, ["2"] = 2}
local CLASS_NAMES = {[0] = "interactive", "normal", "batch"}
local SPARE_S = 86400          -- how long the keys of a job that nobody tends outlive its times, and by how much the clock may be put on
local REAP_AT_MOST = 20        -- jobs whose time is over, per call and kind
local PROMOTE_AT_MOST = 100    -- delayed jobs per call
local SKIP_AT_MOST = 100       -- tenants without jobs or at their cap, and jobs that cannot run, passed over per claim
local LOOK_AT_MOST = 100       -- tenants of a class, and of those at their cap, looked at to tell how long a wait is
local REPLACE_AT_MOST = 200    -- jobs that one new one takes the place of
local LEASE_AT_MOST = 60000    -- ms
local ADOPT_AT_MOST = 500      -- jobs of the version before, per claim
local UNCAP_AT_MOST = 100      -- tenants looked at again per claim when the cap was raised
local AUDIT_AT_MOST = 100      -- open jobs looked after at once
local AUDIT_MS = 1000          -- and how often, where nothing was damaged
local AUDITED_S = 60           -- after which a round of the audit begins anew
local COUNT_AT_MOST = 1000     -- jobs that run, dead letters, tenants: that are counted anew
local DISTRUST_S = 60          -- how long rights are asked for at each call, once one was missing
local BACKOFF_MS = 1000        -- before the third attempt; then four times as long each
local BACKOFF_MOST_MS = 60000
local DEAD_AT_MOST = 1000
local ATTEMPTS_AT_MOST = 1000000
local TIME_AT_MOST = 1e15 - 1  -- ms
local DEAD_S = 7 * 86400
local DEAD_SHOWN = 100         -- dead letters per call
local WAKE_TOKENS = 64
local UNTOLD = {at_most = 5000, of_tenant = 1000, at_once = 100, keep_s = 86400} -- ends that no relay has fetched yet; per call; how long they are kept
local EVERYBODY = "*"          -- among tenants' names, which have no such character
local REASON_AT_MOST = 256     -- bytes
local INPUT_AT_MOST = 65536    -- bytes of live input per call
local INPUTS_AT_MOST = 1048576 -- and per job
local ZIP_MB_AT_MOST = 50      -- what a relay can take, whatever is configured
local SMALL_RECORDING = 6144   -- bytes; to cut such a one to its result would free next to nothing
local RESULT_WITHIN = 16       -- pages from a Stream's end that are looked through for its result
local LARGE_FIELDS = 16384     -- bytes of a job's fields, from which on it is asked whether there is memory for them

-- Numbers of the hash `conf`: default, least, most. What is no such number counts as the default.
local CONF = {max_zip_mb = {10, 0, 1e12}, max_jobs = {100000, 0, 1e12}, max_mb = {2048, 0, 1e12},
              max_tenant_jobs = {100000, 0, 1e12}, max_tenant_running = {0, 0, 1e12}, recordings_mb = {1024, 0, 1e12},
              weight_interactive = {16, 1, 100}, weight_normal = {4, 1, 100}, weight_batch = {1, 1, 100}}

-- What the hash of a job holds beside the fields of FIELDS: what is told of its end, and what the queue needs.
local RESULT = {"verdict", "exit_code", "sentence", "detail", "signal", "call", "where", "max_rss_kb", "shared_kb",
                "memory_kb", "claim", "frames_dropped", "versions", "ended_ms", "started_ms", "queue_ms", "owner",
                "token", "lease_ms", "cancel", "held", "recording_cut"}
local OWN = {state = true, attempt = true, lost = true, bytes = true, enqueued_ms = true, queued_ms = true, max_deliveries = true,
             input_eof = true, line = true}

---- small things ----

-- Milliseconds, and the microseconds beside them.
local function now_ms()
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000), time[2] % 1000
end

local function whole(number)
  return string.format("%.0f", number)
end

local CHECKS = {
  id = function(_, value) return #value <= 64 and string.find(value, "^[%w_-]+$") ~= nil end,
  text = function(row, value) return #value <= row.max and not string.find(value, "%z") end,
  bytes = function(row, value) return #value <= row.max end,
  name = function(row, value)
    return #value >= row.min and #value <= row.max and not string.find(value, "[^%w_.:-]")
  end,
  choice = function(row, value) return row.choices[value] == true end,
  number = function(row, value)
    return #value <= 18 and (value == "0" or string.match(value, "^[1-9]%d*$")) and tonumber(value) >= row.min
           and tonumber(value) <= row.max
  end,
}

-- Of a job whose fields are each as they should be: which of them does not go with the others, and why not; or nil.
local function misfit(job)
  if job.encoding == "json" and job.trace ~= "off" and job.trace ~= "calls" then
    return "encoding: json goes with trace off or calls"
  end
end

-- A command on a key that somebody may have damaged. Returns its reply, or nil if what the key holds does not allow it.
-- All other errors (an ACL that is too narrow) are the caller's to see, and nothing is repaired for their sake.
local DAMAGE = {"WRONGTYPE", "not an integer", "overflow", "equal or smaller", "exhausted"}

local function try(...)
  local reply = redis.pcall(...)
  if type(reply) ~= "table" or not reply.err then
    return reply
  end
  for _, words in ipairs(DAMAGE) do
    if string.find(reply.err, words, 1, true) then
      return nil
    end
  end
  return redis.call(...)
end

-- The same, where a key that is none is removed: it begins anew.
local function force(command, key, ...)
  local reply = try(command, key, ...)
  if reply == nil then
    redis.call("UNLINK", key)
    reply = redis.call(command, key, ...)
  end
  return reply
end

-- Fields of a job, read in one call: a list, false where there is none. What stands in the place of a job and is none
-- is removed.
local function fields(P, id, ...)
  local values = try("HMGET", P .. "job:" .. id, ...)
  if not values then
    redis.pcall("UNLINK", P .. "job:" .. id) -- where this is asked by a call that writes nothing, another does it
  end
  return values or {}
end

local function field(P, id, name)
  return fields(P, id, name)[1] or nil
end

-- A count that the library wrote; 0 where it is damaged.
local function counted(value)
  return value and #value <= 15 and string.match(value, "^%d+$") and tonumber(value) or 0
end

-- What a job or a dead letter counts with: 0 where it says more than a program, with what is given to it, can take.
local BYTES_AT_MOST = ZIP_MB_AT_MOST * 1048576 + INPUTS_AT_MOST + FIELDS.stdin.max + FIELDS.argv.max + FIELDS.host.max + FIELDS.meta.max

local function counted_bytes(value)
  local bytes = counted(value)
  return bytes <= BYTES_AT_MOST and bytes or 0
end

-- A number that a client asked for; its default where it is damaged.
local function asked(name, value)
  local row = FIELDS[name]
  return tonumber(value and CHECKS.number(row, value) and value or row.default)
end

local function asked_field(P, id, name)
  return asked(name, field(P, id, name))
end

local function count(P, key, name, by)
  if (try("HINCRBY", P .. key, name, by) or 0) <= 0 and not try("HDEL", P .. key, name) then
    redis.call("UNLINK", P .. key)
  end
end

-- A counter that may have been damaged begins anew.
local function add(P, key, by)
  if by == 0 then
    return -- "-0" is no number to Redis
  end
  if (try("INCRBY", P .. key, whole(by)) or -1) < 0 then
    redis.call("SET", P .. key, "0")
  end
end

-- So many workers that are idle, or one.
local function wake(P, workers)
  for _ = 1, math.min(workers or 1, WAKE_TOKENS) do
    if force("LPUSH", P .. "wake", "1") > WAKE_TOKENS then
      redis.call("LTRIM", P .. "wake", 0, WAKE_TOKENS - 1)
    end
  end
end

-- Bytes of a program may be in a text; JSON is UTF-8. What is no UTF-8 becomes '?'.
local utf8
do
  -- No byte that begins a character is within another, so each kind can be looked for by itself (RFC 3629).
  local CHARACTERS = {"[\194-\223][\128-\191]", "[\225-\236\238\239][\128-\191][\128-\191]", "\224[\160-\191][\128-\191]",
                      "\237[\128-\159][\128-\191]", "[\241-\243][\128-\191][\128-\191][\128-\191]",
                      "\240[\144-\191][\128-\191][\128-\191]", "\244[\128-\143][\128-\191][\128-\191]"}
  local SAME_LENGTH = {"..", "...", "...", "...", "....", "....", "...."}

  function utf8(text)
    local left = text
    for i, character in ipairs(CHARACTERS) do
      if not string.find(left, "[\128-\255]") then
        return text
      end
      left = string.gsub(left, character, SAME_LENGTH[i])
    end
    local out, from = {}, 1
    local first, last = string.find(left, "[\128-\255]+")
    while first do
      out[#out + 1] = string.sub(text, from, first - 1)
      out[#out + 1] = string.rep("?", last - first + 1)
      from = last + 1
      first, last = string.find(left, "[\128-\255]+", from)
    end
    out[#out + 1] = string.sub(text, from)
    return table.concat(out)
  end
end

-- A JSON object from {name, value, name, value ...}: the order is kept, and "kind" comes first.
local function json_object(pairs_in_order)
  local parts = {}
  for i = 1, #pairs_in_order, 2 do
    local value = pairs_in_order[i + 1]
    if type(value) == "number" then
      value = whole(value)
    else
      value = cjson.encode(utf8(value))
    end
    parts[#parts + 1] = cjson.encode(pairs_in_order[i]) .. ":" .. value
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- A Stream that takes no entry is none, was made by somebody else, or has the result of a job that had this id before. Behind
-- the last id that there can be Redis takes nothing more, not what a relay has sent long ago on a way that was cut and heals.
local LAST_ID = "18446744073709551615-18446744073709551615"

-- Returns the entry's id.
local function tell(P, id, kind, attempt, object)
  return force("XADD", P .. "frames:" .. id, kind == "result" and LAST_ID or "*", "k", kind, "a", whole(attempt), "d",
               json_object(object))
end

local function printable(name)
  return (string.gsub(string.sub(name, 1, 64), "[^\32-\126]", "?"))
end

local function within(value, least, most, default)
  local number = tonumber(value or "")
  return number and number >= least and number <= most and number or default
end

local function whole_within(value, least, most, default)
  return value and string.match(value, "^%d+$") and within(value, least, most, default) or default
end

-- Numbers of the hash `conf`, in one call.
local function configured(P, ...)
  local set, numbers = try("HMGET", P .. "conf", ...) or {}, {}
  for i, name in ipairs({...}) do
    local default, least, most = unpack(CONF[name])
    numbers[i] = whole_within(set[i], least, most, default)
  end
  return unpack(numbers)
end
