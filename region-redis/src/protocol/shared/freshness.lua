-- Whether entries are fresh.
local STAMP = 0x10     -- version 1 of an entry's stamp, in the upper half of its first byte
local HAS_END, HAS_WINDOW, HAS_MARK = 1, 2, 4

-- The moment, in microseconds, of the first expiration of the path that an entry put at `put` has
-- not seen.
local function first_expiration(path, put)
  local first
  for depth = 1, #path do
    local ids = path[depth]
    for at = SOFT_END + 1, #ids, INTERVAL do
      local from, to = struct.unpack('>I7I7', ids, at)
      if to >= put then
        local start = math.max(from, put)
        if not first or start < first then first = start end
        break
      end
    end
  end
  return first or put
end

-- The length of what stands before an entry's bytes.
local function stamp_length(flags)
  return 1 + (flags % 2 == 1 and 6 or 0) + (flags % 4 >= 2 and 13 or 0) + (flags % 8 >= 4 and 8 or 0)
end

-- Whether an entry is 'fresh' or 'stale'; nil if it is not valid any more.
local function freshness(entry, path, mark)
  local flags = byte(entry, 1)
  if not flags or flags < STAMP or flags >= STAMP + 8 or #entry < stamp_length(flags) then
    return nil
  end
  local at, ends, put, window, own_mark = 2, nil, nil, nil, ''
  if flags % 2 == 1 then ends, at = struct.unpack('>I6', entry, at) end
  if flags % 4 >= 2 then put, window, at = struct.unpack('>I7I6', entry, at) end
  if flags % 8 >= 4 then own_mark = sub(entry, at, at + 7) end
  local since
  if ends and ends <= millis(now()) then since = ends end
  if own_mark ~= mark then
    local expired = put and millis(first_expiration(path, put)) or 0
    if not since or expired < since then since = expired end
  end
  if not since then return 'fresh' end
  if window and millis(now()) < since + window then return 'stale' end
  return nil
end
