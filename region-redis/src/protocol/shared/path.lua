-- The ids along a path: those that are claimed, and those that the `i` keys in this slot hold.
local function read_path(keys)
  local path = redis.call('MGET', unpack(keys))
  for depth = ABOVE, 1, -1 do table.insert(path, 1, claimed[depth]) end
  return path
end

-- The `i` keys along a path, from the root down: false for those in another slot.
local function whole_path(keys)
  local whole = {}
  for depth = 1, ABOVE do whole[depth] = false end
  for n = 1, #keys do whole[ABOVE + n] = keys[n] end
  return whole
end
