-- SPDX-License-Identifier: MIT
--
-- Stands in front of the library where a test is to see what it does: every command, with the function that was called and
-- the line of the text that follows this one. One example of each kind of key is kept, of the queue `default`.
local seen, called = {}, "?"

local function server()
  return redis
end

local function line(level)
  local _, where = pcall(error, "", level + 2)
  return tonumber(string.match(where or "", ":(%d+):")) or 0
end

local function note(words)
  local first = line(3)
  local site = {called, first == TRY and line(4) or first, words[1]}
  for i = 2, #words do
    local queue, name = string.match(words[i], "^paddock:{(.-)}:([%w_]*:?)")
    if queue and queue ~= "default" then
      return
    end
    site[#site + 1] = name
    words[i] = name and words[i] or string.sub(words[i], 1, 64)
  end
  seen[table.concat(site, " ")] = {site[1], site[2] - OFFSET, words}
end

local register_function = redis.register_function
local redis = {
  status_reply = function(words) return server().status_reply(words) end,
  error_reply = function(words) return server().error_reply(words) end,
  acl_check_cmd = function(...) return server().acl_check_cmd(...) end,
  call = function(...)
    note({...})
    return (server().call(...))
  end,
  pcall = function(...)
    note({...})
    return (server().pcall(...))
  end,
  register_function = function(row)
    local callback, name = row.callback, row.function_name
    row.callback = function(keys, args)
      called = name
      return callback(keys, args)
    end
    register_function(row)
  end,
}

redis.register_function({function_name = "paddock_seen", flags = {"no-writes"}, callback = function()
  local all = {}
  for _, one in pairs(seen) do
    all[#all + 1] = one
  end
  return all
end})
