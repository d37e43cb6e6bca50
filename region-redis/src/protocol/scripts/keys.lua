-- Keys of the server. Layout version 1: see LAYOUT.md.
local call = redis.call

-- How many values one call takes, well below what Lua's stack holds.
local CHUNK = 1000

-- Whether a call failed because the key is of another type; then the key is removed, for what it
-- holds is not ours.
local function is_of_other_type(reply, key)
  if type(reply) ~= 'table' or not reply.err then return false end
  if string.sub(reply.err, 1, 9) ~= 'WRONGTYPE' then error(reply) end
  call('UNLINK', key)
  return true
end

-- The stamp of a hash.
local function stamp_of(key)
  local stamp = redis.pcall('HGET', key, '')
  if is_of_other_type(stamp, key) then return false end
  return stamp
end

-- The values of a hash's fields.
local function hmget(key, fields)
  local values = {}
  for from = 1, #fields, CHUNK do
    local found = redis.pcall('HMGET', key, unpack(fields, from, math.min(from + CHUNK - 1, #fields)))
    if is_of_other_type(found, key) then return {} end
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

-- Names that follow from a region's `i` key: they lie in the same slot.
local function children_of(i)
  return 'rc1:c' .. string.sub(i, 6)
end

local function root_key(letter, i)
  return 'rc1:' .. letter .. string.match(i, '%b{}')
end

-- Leaves the dead list of children of the region at `text`, whose ids are kept at `i`, to the
-- reclaimer.
local function bury(i, id, text)
  local c, graves = children_of(i), root_key('g', i)
  if call('EXISTS', c) == 0 then return end
  call('RENAME', c, root_key('x', i) .. id)
  local member = id .. ' ' .. text
  if is_of_other_type(redis.pcall('SADD', graves, member), graves) then
    call('SADD', graves, member)
  end
end
