-- The ordinary write: puts into a region that exists and has entries, whose keys live long enough. Of
-- anything else it changes nothing, and leaves it to the script `write`: a region that holds a marker alone among
-- them. Most writes are these, so it does
-- without the parts that the other scripts share: defining them takes longer than what is done here.
-- KEYS: d, l, the count of the client's writes, the i keys from the root down.
-- ARGV: the floor of the count, the change, 'K' if trust is kept or '', for each put: key, fresh ms or '',
-- stale ms, bytes.
-- Answers the count, or false if it has changed nothing; if trust is kept the count, i values, stamp.
local call, sub = redis.call, string.sub
local unpack_struct = struct.unpack

-- Marks: the ids of a path that exists, its trees, until when its keys live (nil: for ever), and whether
-- any of it has expired. That each tree belongs to the one above it need not be asked: the stamp below was
-- written under the same trees, when it did.
local path = call('MGET', unpack(KEYS, 4))
for depth = ABOVE, 1, -1 do table.insert(path, 1, claimed[depth]) end
local trees, ends, has_expired = {}, nil, false
for depth = 1, #path do
  local ids = path[depth]
  if not ids then return false end
  if #ids ~= 18 then
    local extra = #ids - 26
    if extra <= 0 or extra > 56 or extra % 14 ~= 0 then return false end
    has_expired = true
  end
  local tree, expiry = unpack_struct('>c8xxxxI6', ids)
  trees[depth] = tree
  -- The caller sees to what is above the anchor.
  if depth > ABOVE and expiry ~= 0 and not (ends and ends < expiry) then ends = expiry end
end
trees = table.concat(trees)
local mark = ''
if has_expired then
  local softs, digest = {}, {}
  for depth = 1, #path do
    local soft = sub(path[depth], 19, 26)
    softs[depth] = soft == '' and string.rep('\0', 8) or soft
  end
  for hex in string.gmatch(sub(redis.sha1hex(table.concat(softs)), 1, 16), '..') do
    digest[#digest + 1] = string.char(tonumber(hex, 16))
  end
  mark = table.concat(digest)
end

-- Stamps: flags, the change ring, and a time if the flags say so.
local stamp = redis.pcall('HGET', KEYS[1], '')
local len = #trees
if type(stamp) ~= 'string' or sub(stamp, 1, len) ~= trees then return false end
local flags = string.byte(stamp, len + 1)
if not flags or flags > 6 or flags % 4 == 3 then return false end
local ring_end, time = #stamp, nil
if flags % 4 ~= 0 then
  ring_end = ring_end - 6
  time = unpack_struct('>I6', stamp, ring_end + 1)
  if flags % 4 == 1 and not (ends and ends < time) then ends = time end
end
local ring = ring_end - len - 1
if ring < 8 or ring > 64 or ring % 8 ~= 0 then return false end
local is_limited = flags >= 4

-- The time is asked for where a lifetime hangs on it.
local now, millis
if ends or flags % 4 == 2 or ARGV[5] ~= '' or ARGV[6] ~= '0' or #ARGV > 7 then
  local clock = call('TIME')
  now = clock[1] * 1000000 + clock[2]
  millis = math.floor(now / 1000)
end

-- Within the region's TTL no entry lives longer than that.
local limit
if flags % 4 == 2 then
  limit = time
  if limit <= millis then return false end
end

local fields, keys, n, head = {'', ''}, {}, 0, nil
for at = 4, #ARGV, 4 do
  local fresh, stale = ARGV[at + 1], ARGV[at + 2]
  -- The lifetimes are mostly the same for all, and so is what stands before the bytes.
  if not head or fresh ~= ARGV[at - 3] or stale ~= ARGV[at - 2] then
    -- The region's keys have to live as long as its entries.
    if ends then
      local needed = fresh == '' and limit or fresh ~= '' and millis + fresh + stale
      if limit and needed > limit then needed = limit end
      if not needed or ends < needed then return false end
    end
    local kind = 16
    head = mark
    if mark ~= '' then kind = kind + 4 end
    if stale ~= '0' then
      kind, head = kind + 2, struct.pack('>I7I6', now, stale) .. head
    end
    if fresh ~= '' then
      is_limited, kind, head = true, kind + 1, struct.pack('>I6', millis + fresh) .. head
    end
    head = string.char(kind) .. head
  end
  n = n + 1
  keys[n] = ARGV[at]
  fields[2 * n + 1] = ARGV[at]
  fields[2 * n + 2] = head .. ARGV[at + 3]
end
local count = count_write(KEYS[3], ARGV[1])
if is_limited and flags < 4 then flags = flags + 4 end
-- The ring keeps its last eight changes.
local ring_start = ring < 64 and len + 2 or len + 10
fields[2] = trees .. string.char(flags) .. sub(stamp, ring_start, ring_end) .. ARGV[2]
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
