-- Who lives: ids, lineage, and whether entries are fresh.
local concat, sub, byte, char = table.concat, string.sub, string.byte, string.char

local IDS = 16         -- tree and own
local SOFT_END = 24    -- and soft, once the region has expired
local INTERVAL = 14    -- from and to, in microseconds, of expirations seen as one
local MAX_INTERVALS = 4
local NO_SOFT = string.rep('\0', 8)

local STAMP = 0x10     -- version 1 of an entry's stamp, in the upper half of its first byte
local HAS_END, HAS_WINDOW, HAS_MARK = 1, 2, 4

-- The server's time in microseconds; it stands still while a script runs.
local function time()
  local now = call('TIME')
  return now[1] * 1000000 + now[2]
end

local function millis(micros)
  return math.floor(micros / 1000)
end

local function is_born(ids)
  if not ids then return false end
  local extra = #ids - SOFT_END
  return #ids == IDS
    or extra > 0 and extra % INTERVAL == 0 and extra <= INTERVAL * MAX_INTERVALS
end

local function all_born(path)
  for depth = 1, #path do
    if not is_born(path[depth]) then return false end
  end
  return true
end

-- The first eight bytes of the digest of the `soft` ids along a path; nothing if none has one.
local function mark_of(path)
  local softs, any = {}, false
  for depth = 1, #path do
    if #path[depth] > IDS then
      softs[depth], any = sub(path[depth], IDS + 1, SOFT_END), true
    else
      softs[depth] = NO_SOFT
    end
  end
  if not any then return '' end
  local digest = {}
  for hex in string.gmatch(sub(redis.sha1hex(concat(softs)), 1, 16), '..') do
    digest[#digest + 1] = char(tonumber(hex, 16))
  end
  return concat(digest)
end

-- The `tree` ids of the first `depth` regions of a path.
local function trees_of(path, depth)
  local trees = {}
  for at = 1, depth do trees[at] = sub(path[at], 1, 8) end
  return concat(trees)
end

-- What the validity of the region's entries hangs on.
local function life_of(path)
  return trees_of(path, #path) .. sub(path[#path], 9, IDS)
end

-- Whether the hash stamped `stamp` was filled in this life, and until when; nil if it is over.
local function deadline_of(stamp, life, now)
  if not stamp or sub(stamp, 1, #life) ~= life then return nil end
  if #stamp == #life then return 'none' end
  if #stamp ~= #life + 6 then return nil end
  local deadline = struct.unpack('>I6', stamp, #life + 1)
  if deadline <= millis(now) then return nil end
  return deadline
end

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

-- Whether an entry is 'fresh' or 'stale'; nil if it is not valid any more.
local function freshness(entry, path, mark, now)
  local flags = byte(entry, 1)
  if not flags or flags < STAMP or flags >= STAMP + 8 then return nil end
  local has_end, has_window, has_mark = flags % 2 == 1, flags % 4 >= 2, flags % 8 >= 4
  local at = 2
  if #entry < 1 + (has_end and 6 or 0) + (has_window and 13 or 0) + (has_mark and 8 or 0) then
    return nil
  end
  local ends, put, window
  if has_end then ends, at = struct.unpack('>I6', entry, at) end
  if has_window then put, window, at = struct.unpack('>I7I6', entry, at) end
  local own_mark = has_mark and sub(entry, at, at + 7) or ''
  local since
  if ends and ends <= millis(now) then since = ends end
  if own_mark ~= mark then
    local expired = put and millis(first_expiration(path, put)) or 0
    if not since or expired < since then since = expired end
  end
  if not since then return 'fresh' end
  if window and millis(now) < since + window then return 'stale' end
  return nil
end

