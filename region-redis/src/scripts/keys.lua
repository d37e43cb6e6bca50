-- Keys of the server. Layout version 1: see LAYOUT.md.
local call = redis.call

-- How many values one call takes, well below what Lua's stack holds.
local CHUNK = 1000

-- The values of a hash's fields. A key of another type is removed: what it holds is not ours.
local function hmget(key, fields)
  local values = {}
  for from = 1, #fields, CHUNK do
    local to = math.min(from + CHUNK - 1, #fields)
    local found = redis.pcall('HMGET', key, unpack(fields, from, to))
    if found.err then
      if string.sub(found.err, 1, 9) ~= 'WRONGTYPE' then error(found) end
      call('UNLINK', key)
      return {}
    end
    if to == #fields and from == 1 then return found end
    for n = 1, #found do values[from + n - 1] = found[n] end
  end
  return values
end

-- A part of a list.
local function slice(list, from, to)
  local part = {}
  for at = from, to do part[#part + 1] = list[at] end
  return part
end

-- Leaves a dead list of children to the reclaimer.
local function bury(c, graves, grave, id, text)
  if call('EXISTS', c) == 0 then return end
  call('RENAME', c, grave .. id)
  local added = redis.pcall('SADD', graves, id .. ' ' .. text)
  if type(added) == 'table' and added.err then
    call('UNLINK', graves)
    call('SADD', graves, id .. ' ' .. text)
  end
end

