-- How long keys live. An `i` key holds when it expires, in milliseconds, so that a put need not ask;
-- zero: never.

-- A region is born with its ids and this lifetime, until a put asks for more.
local BIRTH_MS = 60000
-- `i` keys are given more than is needed, so that few puts have to extend them: an extension is a
-- push to every client that tracks the key.
local IDS_MARGIN = 2

local function expiry_of(ids)
  return (struct.unpack('>I6', ids, 17))
end

-- Stores a region's ids with another expiry.
local function store_ids(key, ids, expiry)
  local value = sub(ids, 1, 16) .. struct.pack('>I6', expiry) .. sub(ids, IDS + 1)
  if expiry == 0 then
    call('SET', key, value)
  else
    call('SET', key, value, 'PXAT', string.format('%.0f', expiry))
  end
  return value
end

-- Gives the ids to those of a path that have none. They live as long as the region's own, for what
-- lies below may have been promised that.
local function give_birth(path, i, ids)
  local expiry = millis(now()) + BIRTH_MS
  if is_born(path[#path]) then
    local own = expiry_of(path[#path])
    expiry = own == 0 and 0 or math.max(own, expiry)
  end
  for depth = 1, #i do
    if not is_born(path[depth]) then
      path[depth] = store_ids(i[depth], sub(ids, (depth - 1) * 16 + 1, depth * 16), expiry)
    end
  end
end

-- Sees to it that the ids along a path, and the lists of children on it, live as long as an entry
-- does: for so many milliseconds, for ever if that is nil. Ancestors are never given less than what
-- lies below them: so looking at the last one is enough.
local function extend_path(path, i, needed, children_of)
  local own = expiry_of(path[#path])
  if own == 0 or needed and own >= millis(now()) + needed then return end
  local expiry = needed and millis(now()) + needed * IDS_MARGIN or 0
  for depth = 1, #i do
    local present = expiry_of(path[depth])
    if present ~= 0 and (expiry == 0 or present < expiry) then
      path[depth] = store_ids(i[depth], path[depth], expiry)
      local c = children_of(i[depth])
      if expiry == 0 then
        call('PERSIST', c)
      else
        call('PEXPIREAT', c, string.format('%.0f', expiry))
      end
    end
  end
end
