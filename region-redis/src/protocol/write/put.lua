-- The ordinary write: puts into a region that exists and has entries, whose keys live long enough. Of
-- anything else it changes nothing, and leaves it to the script `write`: a region that holds a marker alone among
-- them. Most writes are these, so it does
-- without the parts that the other scripts share: defining them takes longer than what is done here.
-- KEYS: d, l, the count of the client's writes, the i keys from the root down.
-- ARGV: the floor of the count, the change, 'K' if trust is kept or '', for each put: key, fresh ms or '',
-- stale ms, bytes.
-- Answers the count, or false if it has changed nothing; if trust is kept the count, i values, stamp.
local call, sub, byte, concat = redis.call, string.sub, string.byte, table.concat
local pack, unpack_struct = struct.pack, struct.unpack

-- Marks: the ids of a path that exists, its trees, until when its keys live (nil: for ever), and whether
-- any of it has expired.
local path = call('MGET', unpack(KEYS, 4))
local trees, tree, ends, has_expired = {}, nil, nil, false
for depth = 1, #path do
  local ids = path[depth]
  if not ids then return false end
  local extra = #ids - 26
  if extra ~= -8 then
    if extra <= 0 or extra > 56 or extra % 14 ~= 0 then return false end
    has_expired = true
  end
  if tree and sub(ids, 9, 12) ~= sub(tree, 1, 4) then return false end
  tree = sub(ids, 1, 8)
  trees[depth] = tree
  local expiry = unpack_struct('>I6', ids, 13)
  if expiry ~= 0 and not (ends and ends < expiry) then ends = expiry end
end
trees = concat(trees)
local mark = ''
if has_expired then
  local softs, digest = {}, {}
  for depth = 1, #path do
    local soft = sub(path[depth], 19, 26)
    softs[depth] = soft == '' and string.rep('\0', 8) or soft
  end
  for hex in string.gmatch(sub(redis.sha1hex(concat(softs)), 1, 16), '..') do
    digest[#digest + 1] = string.char(tonumber(hex, 16))
  end
  mark = concat(digest)
end

-- Stamps: flags, the change ring, and a time if the flags say so.
local stamp = redis.pcall('HGET', KEYS[1], '')
local len = #trees
if type(stamp) ~= 'string' or sub(stamp, 1, len) ~= trees then return false end
local flags = byte(stamp, len + 1)
if not flags or flags > 6 or flags % 4 == 3 then return false end
local ring_end, time = #stamp, nil
if flags % 4 ~= 0 then ring_end = ring_end - 6 end
local ring = ring_end - len - 1
if ring < 8 or ring > 64 or ring % 8 ~= 0 then return false end
if flags % 4 ~= 0 then time = unpack_struct('>I6', stamp, ring_end + 1) end
if flags % 4 == 1 and not (ends and ends < time) then ends = time end
local now, millis
local is_limited = flags >= 4

local function know_time()
  if now then return end
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
  millis = math.floor(now / 1000)
end

-- Within the region's TTL no entry lives longer than that.
local limit
if flags % 4 == 2 then
  know_time()
  limit = time
  if limit <= millis then return false end
end

-- What stands before the bytes of an entry with these lifetimes, which are mostly the same for all; nothing
-- if the region's keys may end before it.
local function head_of(fresh, stale)
  if fresh ~= '' or stale ~= '0' or ends then know_time() end
  if ends then
    local needed = fresh == '' and limit or fresh ~= '' and millis + fresh + stale
    if limit and needed > limit then needed = limit end
    if not needed or ends < needed then return nil end
  end
  local kind, head = 16, ''
  if fresh ~= '' then
    is_limited, kind, head = true, kind + 1, pack('>I6', millis + fresh)
  end
  if stale ~= '0' then
    kind, head = kind + 2, head .. pack('>I7I6', now, stale)
  end
  if mark ~= '' then kind = kind + 4 end
  return string.char(kind) .. head .. mark
end

local fields, keys, n, head = {'', ''}, {}, 0, nil
for at = 4, #ARGV, 4 do
  if not head or ARGV[at + 1] ~= ARGV[at - 3] or ARGV[at + 2] ~= ARGV[at - 2] then
    head = head_of(ARGV[at + 1], ARGV[at + 2])
    if not head then return false end
  end
  n = n + 1
  keys[n] = ARGV[at]
  fields[2 * n + 1] = ARGV[at]
  fields[2 * n + 2] = head .. ARGV[at + 3]
end
local count = count_write(KEYS[3], ARGV[1])
if is_limited and flags < 4 then flags = flags + 4 end
fields[2] = trees .. string.char(flags) .. sub(sub(stamp, len + 2, ring_end) .. ARGV[2], -64)
  .. sub(stamp, ring_end + 1)
call('HSET', KEYS[1], unpack(fields))
local voided = redis.pcall('HDEL', KEYS[2], unpack(keys))
if type(voided) == 'table' then
  call('UNLINK', KEYS[2])
elseif voided > 0 and call('HLEN', KEYS[2]) <= 1 then
  call('UNLINK', KEYS[2])
end
if ARGV[3] ~= 'K' then return count end
-- Writing a key ends its tracking: reading it begins it again.
call('EXISTS', KEYS[1])
return {count, path, fields[2]}
