-- The ordinary write: puts into a region that exists and has entries, whose keys live long enough. Of
-- anything else it changes nothing, and leaves it to the script `write`; for that it needs few of the
-- parts that the other scripts share, and takes half the time.
-- KEYS: d, l, the count of the client's writes, the i keys from the root down.
-- ARGV: the floor of the count, the change, 'K' if trust is kept or '', for each put: key, fresh ms or '',
-- stale ms, bytes.
-- Answers the count, or false if it has changed nothing; if trust is kept the count, i values, stamp.
local call, pack = redis.call, struct.pack

local path = call('MGET', unpack(KEYS, 4))
if not exists(path) then return false end
local trees, mark = trees_of(path, #path), mark_of(path)
local stamp = redis.pcall('HGET', KEYS[1], '')
if type(stamp) ~= 'string' then return false end
stamp = split_stamp(stamp, trees)
if not stamp then return false end

-- Until when the region's keys live; nil: for ever.
local ends = stamp.kind == EXPIRES and stamp.time or nil
for depth = 1, #path do
  local expiry = expiry_of(path[depth])
  if expiry ~= 0 and not (ends and ends < expiry) then ends = expiry end
end

local now, millis
local function know_time()
  if now then return end
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
  millis = math.floor(now / 1000)
end

-- Within the region's TTL no entry lives longer than that.
local limit
if stamp.kind == TTL then
  know_time()
  limit = stamp.time
  if limit <= millis then return false end
end

local fields, keys = {'', ''}, {}
for at = 4, #ARGV, 4 do
  local fresh, stale, head = ARGV[at + 1], ARGV[at + 2], ''
  if fresh ~= '' or stale ~= '0' or ends then know_time() end
  if ends then
    local needed = fresh == '' and limit or fresh ~= '' and millis + fresh + stale
    if limit and needed > limit then needed = limit end
    if not needed or ends < needed then return false end
  end
  if fresh ~= '' then
    stamp.limited = true
    head = pack('>I6', millis + fresh)
  end
  if stale ~= '0' then head = head .. pack('>I7I6', now, stale) end
  local flags = 16 + (fresh == '' and 0 or 1) + (stale == '0' and 0 or 2) + (mark == '' and 0 or 4)
  keys[#keys + 1] = ARGV[at]
  fields[#fields + 1] = ARGV[at]
  fields[#fields + 1] = string.char(flags) .. head .. mark .. ARGV[at + 3]
end
local count = count_write(KEYS[3], ARGV[1])
stamp.ring = add_change(stamp.ring, ARGV[2])
fields[2] = join_stamp(trees, stamp)
call('HSET', KEYS[1], unpack(fields))
local voided = redis.pcall('HDEL', KEYS[2], unpack(keys))
if type(voided) == 'table' then
  call('UNLINK', KEYS[2])
elseif voided > 0 and call('HLEN', KEYS[2]) <= 1 then
  call('UNLINK', KEYS[2])
end
if ARGV[3] ~= 'K' then return count end
return {count, path, fields[2]}
