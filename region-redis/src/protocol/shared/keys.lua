-- Keys of the server. Layout version 1: see LAYOUT.md.
local call = redis.call

-- How many values one call takes, well below what Lua's stack holds.
local CHUNK = 1000

-- Whether a call failed because the key is of another type; then the key is removed, for it is
-- not ours.
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

-- The name of another key of the region whose ids are at `i`: it lies in the same slot.
local function sibling(letter, i)
  return 'rc1:' .. letter .. string.sub(i, 6)
end

-- The name of the key that all regions with the hash tag of the `i` key share.
local function shared_key(letter, i)
  return 'rc1:' .. letter .. string.match(i, '%b{}')
end

-- The path, as text, of the region whose ids are at `i`.
local function text_of(i)
  return (string.gsub(string.sub(i, 6), '[{}]', ''))
end

-- Splits the name of an `i` key: that of the parent, and the last segment; nothing of a region whose path is the hash
-- tag.
local function parent_of(i)
  if string.byte(i, -1) == 125 then return nil end
  return string.match(i, '^(.+)%.([^.]+)$')
end

-- A time as an argument: whole milliseconds.
local function time_arg(millis)
  return string.format('%.0f', millis)
end
