-- The ids of a region, as an `i` key holds them, and what they say of expirations.
local IDS = 18         -- tree, the beginning of the parent's tree, and when the key expires
local SOFT_END = 26    -- and soft, once the region has expired
local INTERVAL = 14    -- from and to, in microseconds, of expirations seen as one
local MAX_INTERVALS = 4

local function is_ids(ids)
  if not ids then return false end
  local len = #ids
  if len == IDS then return true end
  local extra = len - SOFT_END
  return extra > 0 and extra % INTERVAL == 0 and extra <= INTERVAL * MAX_INTERVALS
end

-- Whether the region at `depth` exists: its ids were drawn under its parent's present tree.
local function exists_at(path, depth)
  local ids = path[depth]
  if not is_ids(ids) then return false end
  return depth == 1 or string.sub(ids, 9, 12) == string.sub(path[depth - 1], 1, 4)
end

local function exists(path)
  for depth = 1, #path do
    if not exists_at(path, depth) then return false end
  end
  return true
end

-- The `tree` ids of the first `depth` regions of a path: what the validity of the entries of the
-- last of them hangs on.
local function trees_of(path, depth)
  local trees = {}
  for at = 1, depth do trees[at] = string.sub(path[at], 1, 8) end
  return table.concat(trees)
end

-- The first eight bytes of the digest of the `soft` ids along a path; nothing if none has one.
local function mark_of(path)
  local any = false
  for depth = 1, #path do any = any or #path[depth] > IDS end
  if not any then return '' end
  local softs, digest = {}, {}
  for depth = 1, #path do
    local soft = string.sub(path[depth], IDS + 1, SOFT_END)
    softs[depth] = soft == '' and string.rep('\0', 8) or soft
  end
  for hex in string.gmatch(string.sub(redis.sha1hex(table.concat(softs)), 1, 16), '..') do
    digest[#digest + 1] = string.char(tonumber(hex, 16))
  end
  return table.concat(digest)
end

-- When the `i` key with these ids expires, in milliseconds; zero: never.
local function expiry_of(ids)
  return (struct.unpack('>I6', ids, 13))
end
