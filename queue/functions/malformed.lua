-- SPDX-License-Identifier: MIT
---- what cannot be run ----

local examine
do
  local function is_known(name)
    if FIELDS[name] or OWN[name] then
      return true
    end
    for _, known in ipairs(RESULT) do
      if name == known then
        return true
      end
    end
    return false
  end

  -- Returns what is wrong with a text of a job, or nil.
  local function examine_bytes(P, key, what, most)
    local size = try("STRLEN", P .. key)
    if not size then
      return "what stands in the place of its " .. what .. " is a " .. redis.call("TYPE", P .. key).ok
    end
    return size > most and "its " .. what .. " has grown to " .. whole(size) .. " bytes" or nil
  end

  local function examine_texts(P, id, live_input, bytes)
    local stored = tonumber(bytes or "") or math.huge -- when it was enqueued, with what its fields took
    local problem = examine_bytes(P, "zip:" .. id, "ZIP", math.min(stored, ZIP_MB_AT_MOST * 1048576))
    if not problem and redis.call("EXISTS", P .. "zip:" .. id) == 0 then
      problem = "its ZIP is missing"
    end
    return problem or live_input == "1" and examine_bytes(P, "in:" .. id, "input", INPUTS_AT_MOST) or nil
  end

  -- Whether a job can be run, whatever was done to its keys. Returns its fields, those that came with a later version
  -- with their defaults; or nil and why not.
  function examine(P, id, class, tenant)
    if not CHECKS.id(nil, id) then
      return nil, "its id is none: it takes 1 to 64 letters, digits, _ and -"
    end
    local flat, line = try("HGETALL", P .. "job:" .. id), line_of(tenant, class)
    if not flat or #flat == 0 then
      return nil, flat and "its fields are gone" or "what stands in its place is not a job"
    end
    local job = {}
    for i = 1, #flat, 2 do
      if not is_known(flat[i]) then
        return nil, "there is no field " .. printable(flat[i])
      end
      job[flat[i]] = flat[i + 1]
    end
    for _, name in ipairs({"tenant", "priority"}) do
      if not job[name] then
        return nil, "its field " .. name .. " is missing"
      end
    end
    for name, row in pairs(FIELDS) do
      job[name] = job[name] or row.default
      if job[name] ~= row.default and not CHECKS[row.type](row, job[name]) then
        return nil, "its field " .. name .. " takes " .. row.takes
      end
    end
    local problem = misfit(job)
    if problem then
      return nil, "its field " .. problem
    end
    if job.tenant ~= tenant or CLASSES[job.priority] ~= class or (job.line or line) ~= line then
      return nil, "its tenant or priority is not the one it has waited with"
    end
    for _, name in ipairs({"attempt", "lost"}) do
      if counted(job[name]) > ATTEMPTS_AT_MOST then
        return nil, "its field " .. name .. " takes a whole number up to " .. ATTEMPTS_AT_MOST
      end
    end
    for _, name in ipairs({"enqueued_ms", "queued_ms"}) do
      if job[name] and not whole_within(job[name], 0, TIME_AT_MOST) then
        return nil, "its field " .. name .. " takes a whole number up to " .. whole(TIME_AT_MOST)
      end
    end
    if job.bytes and not whole_within(job.bytes, 0, BYTES_AT_MOST) then
      return nil, "its field bytes takes a whole number up to " .. whole(BYTES_AT_MOST)
    end
    problem = examine_texts(P, id, job.live_input, job.bytes)
    return not problem and job or nil, problem
  end
end

-- The job was counted with the tenant in whose line it stood, and with what its ZIP takes.
local function bury_malformed(P, id, class, tenant, reason)
  local bytes = whole_within(field(P, id, "bytes"), 0, BYTES_AT_MOST) or try("STRLEN", P .. "zip:" .. id) or 0
  redis.call("HSET", P .. "job:" .. id, "tenant", tenant, "priority", CLASS_NAMES[class], "bytes", whole(bytes),
             "line", line_of(tenant, class))
  finish_by_queue(P, id, "dead", "fault", "it cannot be run: " .. reason)
end
