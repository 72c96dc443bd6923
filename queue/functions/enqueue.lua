-- SPDX-License-Identifier: MIT
---- enqueue ----

-- Returns the job's fields with every default, or nil and an error.
local function read_fields(args)
  local job = {}
  for name, row in pairs(FIELDS) do
    job[name] = row.default
  end
  if #args % 2 == 0 then
    return nil, "BADFIELD " .. printable(args[#args]) .. ": has no value"
  end
  for i = 4, #args, 2 do
    local name, value = args[i], args[i + 1]
    local row = FIELDS[name]
    if not row then
      return nil, "BADFIELD " .. printable(name) .. ": there is no such field"
    end
    if not CHECKS[row.type](row, value) then
      return nil, "BADFIELD " .. name .. ": takes " .. row.takes
    end
    job[name] = value
  end
  local problem = misfit(job)
  return not problem and job or nil, problem and "BADFIELD " .. problem
end

local function has_no_room(P, size, mb)
  return counted(try("GET", P .. "bytes")) + size > (mb or configured(P, "max_mb")) * 1048576
end

-- What is `spared` is about to be cancelled, and counts no more: {jobs, bytes}.
local function full(P, tenant, size, spared)
  local jobs, mb, of_tenant = configured(P, "max_jobs", "max_mb", "max_tenant_jobs")
  if redis.call("ZCARD", P .. "open") - spared.jobs >= jobs then
    return "jobs"
  end
  if has_no_room(P, size - spared.bytes, mb) then
    return "bytes"
  end
  if counted(try("HGET", P .. "topen", tenant)) - spared.jobs >= of_tenant then
    return "tenant"
  end
end

-- Dead letters give way to jobs and their input, the oldest first, and as many as it takes; none, where that would be too many.
-- `lacks(bytes)`: whether there is no room where they gave way to so much.
local function make_room(P, lacks)
  local letters, held = redis.call("ZRANGE", P .. "dead", 0, REAP_AT_MOST - 1), 0
  for number, id in ipairs(letters) do
    held = held + counted_bytes(field(P, id, "held"))
    if not lacks(held) then
      for i = 1, number do
        drop_letter(P, letters[i], now_ms())
      end
      return
    end
  end
end

-- When Redis's memory is used up recordings give way to who asks for so much, or where there are none a dead letter.
local function give_way(P, most)
  local now = now_ms()
  local oldest = share_recordings(P, now, nil, most) == 0 and redis.call("ZRANGE", P .. "dead", 0, 0)[1]
  if oldest then
    drop_letter(P, oldest, now)
  end
end

-- Redis has no room for so much more. Returns also how often it has refused a command for that.
local function out_of_memory(most)
  local used, maximum, refused = memory()
  return maximum > 0 and used + most >= maximum, refused
end

-- Where memory is used up an upload may be missing because it was refused, or for any other reason (it expired, it never
-- was). Something gives way only if Redis has refused something since it did last.
local refusals = {}

local function refuse_missing(P, name, most)
  local is_full, refused = out_of_memory(most)
  if not is_full then
    return redis.error_reply("NOUPLOAD " .. name)
  end
  if refusals[P] ~= refused then
    refusals[P] = refused
    give_way(P, most)
  end
  return redis.status_reply("full memory 1000")
end

-- What its fields take beside its ZIP: of Redis's memory, and of the bytes that the queue may hold.
local function bytes_of_fields(job)
  return #job.stdin + #job.argv + #job.host + #job.meta
end

-- The tenant's queued jobs that a job with replace=1 takes the place of. What the version before has cancelled, or begun,
-- may still stand in line, or among what is put off.
local function replaced_by(P, job)
  local found = {jobs = 0, bytes = 0, ids = {}}
  if job.replace ~= "1" then
    return found
  end
  for _, name in ipairs({"line0:", "line1:", "line2:", "later:"}) do
    local room = REPLACE_AT_MOST - found.jobs
    for _, id in ipairs(room > 0 and force("ZRANGE", P .. name .. job.tenant, 0, room - 1) or {}) do
      if redis.call("ZSCORE", P .. "waits", id) then
        found.jobs = found.jobs + 1
        found.ids[found.jobs] = id
        found.bytes = found.bytes + counted_bytes(field(P, id, "bytes"))
      else
        redis.call("ZREM", P .. name .. job.tenant, id)
      end
    end
  end
  return found
end

local function cancel_queued(P, id, detail)
  redis.call("HSET", P .. "job:" .. id, "cancel", "1") -- whatever goes wrong from here on, it does not run
  leave_line(P, id)
  finish_by_queue(P, id, "cancelled", "cancelled", detail)
end

local function store(P, id, upload, job, size, now)
  local set = {"state", "queued", "attempt", "0", "lost", "0", "bytes", whole(size),
               "enqueued_ms", whole(now), "queued_ms", whole(now + job.delay_ms), "line", line_of(job.tenant, CLASSES[job.priority])}
  for name, value in pairs(job) do
    if name ~= "host" or value ~= "" then -- the version before does not know it, and runs no job with what it does not know
      set[#set + 1], set[#set + 2] = name, value
    end
  end
  redis.call("DEL", P .. "frames:" .. id, P .. "in:" .. id, P .. "job:" .. id)
  redis.call("RENAME", upload, P .. "zip:" .. id)
  redis.call("HSET", P .. "job:" .. id, unpack(set))
  guard(P, id, tonumber(job.max_wait_s) + math.ceil(job.delay_ms / 1000), false)
end

-- The stored job begins to wait. `added`: bytes that the queue has not held before.
local function open(P, id, job, now, size, added)
  redis.call("ZADD", P .. "open", whole(now), id)
  note_open(P, now, job.tenant, 1, size)
  add(P, "bytes", added)
  count(P, "topen", job.tenant, 1)
  redis.call("ZADD", P .. "waits", whole(now + job.delay_ms + job.max_wait_s * 1000), id)
  if tonumber(job.delay_ms) > 0 then
    put_off(P, id, now + job.delay_ms, job.tenant)
  else
    put_in_line(P, id, false, job.tenant, CLASSES[job.priority])
  end
  local others, capped = jobs_that_could_run(P)
  return "queued " .. whole(math.max(others - ((tonumber(job.delay_ms) > 0 or capped[job.tenant]) and 0 or 1), 0))
end

local function enqueue(P, args)
  local id = args[1] or ""
  if not CHECKS.id(nil, id) then
    return redis.error_reply("BADFIELD id: takes 1 to 64 letters, digits, _ and -")
  end
  if args[2] ~= "upload" or not string.match(args[3] or "", "^[%w_-]+$") then
    return redis.error_reply("BADFIELD upload: takes the RANDOM of the uploaded key up:RANDOM")
  end
  local upload = P .. "up:" .. args[3]
  local known = field(P, id, "state")
  local is_open = redis.call("ZSCORE", P .. "open", id)
  if known and not (known == "queued" or known == "running") or is_open then
    redis.call("UNLINK", upload)
    return redis.status_reply("duplicate " .. (known or "queued")) -- of one whose fields are gone a claim will tell
  end
  local job, problem = read_fields(args)
  if not job then
    redis.call("UNLINK", upload)
    return redis.error_reply(problem)
  end
  local size, extra = force("STRLEN", upload), bytes_of_fields(job)
  local zip_mb, queue_mb = configured(P, "max_zip_mb", "max_mb")
  local most = math.max(math.min(math.min(ZIP_MB_AT_MOST, zip_mb) * 1048576, queue_mb * 1048576 - extra), 0)
  if size == 0 and redis.call("EXISTS", upload) == 0 then
    return refuse_missing(P, args[3], most)
  end
  if size > most then
    redis.call("UNLINK", upload)
    return redis.error_reply("TOOBIG " .. whole(most))
  end
  if extra >= LARGE_FIELDS and out_of_memory(extra) then
    give_way(P, extra)
    redis.call("UNLINK", upload)
    return redis.status_reply("full memory 1000")
  end
  local now = now_ms()
  reap_waits(P, now)
  local replaced = replaced_by(P, job)
  size = size + extra
  local reason = full(P, job.tenant, size, replaced)
  if reason == "bytes" then
    make_room(P, function(held) return full(P, job.tenant, size, {jobs = replaced.jobs, bytes = replaced.bytes + held}) end)
    reason = full(P, job.tenant, size, replaced)
  end
  if reason then
    redis.call("UNLINK", upload)
    return redis.status_reply("full " .. reason .. " 1000")
  end
  for _, old in ipairs(replaced.ids) do
    cancel_queued(P, old, "replaced by " .. id)
  end
  if redis.call("ZSCORE", P .. "dead", id) then
    drop_letter(P, id, now) -- its fields are gone
  end
  store(P, id, upload, job, size, now)
  return redis.status_reply(open(P, id, job, now, size, size))
end
