-- How long keys live. An `i` key holds when it expires, in milliseconds, so that a put need not ask;
-- zero: never.

-- A region is born with its ids and this lifetime, until a put asks for more.
local BIRTH_MS = 60000
-- `i` keys are given more than is needed, so that few puts have to extend them: an extension is a
-- push to every client that tracks the key.
local IDS_MARGIN = 2

local function expiry_of(ids)
  return (struct.unpack('>I6', ids, 21))
end

-- Stores a region's ids with another expiry.
local function store_ids(key, ids, expiry)
  local value = sub(ids, 1, 20) .. struct.pack('>I6', expiry) .. sub(ids, IDS + 1)
  if expiry == 0 then
    call('SET', key, value)
  else
    call('SET', key, value, 'PXAT', string.format('%.0f', expiry))
  end
  return value
end

-- Gives the ids to those of a path that have none of their parent's present life.
local function give_birth(path, i, ids)
  local parent = '\0\0\0\0'
  for depth = 1, #i do
    if not is_born_at(path, depth) then
      local new = sub(ids, (depth - 1) * 16 + 1, depth * 16) .. parent
      path[depth] = store_ids(i[depth], new, millis(now()) + BIRTH_MS)
    end
    parent = sub(path[depth], 1, 4)
  end
end

-- Sees to it that the ids along a path, and the lists of children on it, live as long as an entry
-- does: for so many milliseconds, for ever if that is nil.
local function extend_path(path, i, needed)
  for depth = 1, #i do
    local present = expiry_of(path[depth])
    if present ~= 0 and not (needed and present >= millis(now()) + needed) then
      local expiry = needed and millis(now()) + needed * IDS_MARGIN or 0
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
