-- Who lives: the ids along a path, and what the life of a region's entries hangs on.
local concat, sub, byte, char = table.concat, string.sub, string.byte, string.char

local IDS = 26         -- tree, eight bytes of no meaning, the beginning of the parent's tree, and when the key expires
local SOFT_END = 34    -- and soft, once the region has expired
local INTERVAL = 14    -- from and to, in microseconds, of expirations seen as one
local MAX_INTERVALS = 4

-- The server's time in microseconds; it stands still while a script runs.
local clock
local function now()
  if not clock then
    local time = call('TIME')
    clock = time[1] * 1000000 + time[2]
  end
  return clock
end

local function millis(micros)
  return math.floor(micros / 1000)
end

local function is_born(ids)
  if not ids then return false end
  local len = #ids
  if len == IDS then return true end
  local extra = len - SOFT_END
  return extra > 0 and extra % INTERVAL == 0 and extra <= INTERVAL * MAX_INTERVALS
end

-- Whether the region at `depth` was born in its parent's present life: ids of an earlier one are
-- never used again.
local function is_born_at(path, depth)
  local ids = path[depth]
  if not is_born(ids) then return false end
  return depth == 1 or sub(ids, 17, 20) == sub(path[depth - 1], 1, 4)
end

local function all_born(path)
  for depth = 1, #path do
    if not is_born_at(path, depth) then return false end
  end
  return true
end

-- The `tree` ids of the first `depth` regions of a path.
local function trees_of(path, depth)
  local trees = {}
  for at = 1, depth do trees[at] = sub(path[at], 1, 8) end
  return concat(trees)
end

-- What the validity of the region's entries hangs on.
local function life_of(path)
  return trees_of(path, #path)
end

-- The first eight bytes of the digest of the `soft` ids along a path; nothing if none has one.
local function mark_of(path)
  local any = false
  for depth = 1, #path do any = any or #path[depth] > IDS end
  if not any then return '' end
  local softs, digest = {}, {}
  for depth = 1, #path do
    local soft = sub(path[depth], IDS + 1, SOFT_END)
    softs[depth] = soft == '' and string.rep('\0', 8) or soft
  end
  for hex in string.gmatch(sub(redis.sha1hex(concat(softs)), 1, 16), '..') do
    digest[#digest + 1] = char(tonumber(hex, 16))
  end
  return concat(digest)
end

-- Whether a hash's stamp is of this life; then also until when: nothing, or 1 and when the key
-- expires, or 2 and when the region's timeout is over.
local function read_stamp(stamp, life)
  if not stamp or sub(stamp, 1, #life) ~= life then return false end
  if #stamp == #life then return true end
  if #stamp ~= #life + 7 then return false end
  local kind, at = struct.unpack('>I1I6', stamp, #life + 1)
  if kind == 2 and at <= millis(now()) then return false end
  return kind == 1 or kind == 2, kind, at
end

-- For how many milliseconds a lease lasts: a token, and when it is over.
local function lease_left(lease)
  if not lease or #lease ~= 14 then return 0 end
  return math.max(struct.unpack('>I6', lease, 9) - millis(now()), 0)
end
