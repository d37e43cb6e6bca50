-- The ordinary write: puts into a region that is alive, whose keys live long enough, and nothing of
-- which has expired. Of anything else it changes nothing, and leaves it to the script `write`; for
-- that it needs none of the parts that the other scripts share, and takes half the time.
-- KEYS: d, l, the count of the client's writes, the i keys from the root down.
-- ARGV: the floor of the count; for each put: key, fresh ms or '', stale ms, bytes.
-- Answers the count, or false if it has changed nothing.
local call, sub, pack = redis.call, string.sub, struct.pack

local path = call('MGET', unpack(KEYS, 4))
local trees, ends = {}, nil
for depth = 1, #path do
  local ids = path[depth]
  if not ids or #ids ~= 26 then return false end
  trees[depth] = sub(ids, 1, 8)
  if depth > 1 and sub(ids, 17, 20) ~= sub(trees[depth - 1], 1, 4) then return false end
  -- Until when the region's keys live; nil: for ever.
  local expires = struct.unpack('>I6', ids, 21)
  if expires ~= 0 and not (ends and ends < expires) then ends = expires end
end
local life = table.concat(trees)
local stamp = redis.pcall('HGET', KEYS[1], '')
if type(stamp) ~= 'string' or sub(stamp, 1, #life) ~= life then return false end

if #stamp > #life then
  if #stamp ~= #life + 7 or sub(stamp, #life + 1, #life + 1) ~= '\1' then return false end
  local expires = struct.unpack('>I6', stamp, #life + 2)
  ends = math.min(ends or expires, expires)
end

local now, millis
local fields, keys = {}, {}
for at = 2, #ARGV, 4 do
  local fresh, stale, stamped = ARGV[at + 1], ARGV[at + 2], nil
  if fresh == '' and stale == '0' then
    if ends then return false end
    stamped = '\16'
  else
    if not now then
      local time = call('TIME')
      now = time[1] * 1000000 + time[2]
      millis = math.floor(now / 1000)
    end
    if ends and (fresh == '' or ends < millis + fresh + stale) then return false end
    stamped = fresh == '' and '' or pack('>I6', millis + fresh)
    if stale ~= '0' then stamped = stamped .. pack('>I7I6', now, stale) end
    stamped = string.char(16 + (fresh == '' and 0 or 1) + (stale == '0' and 0 or 2)) .. stamped
  end
  keys[#keys + 1] = ARGV[at]
  fields[#fields + 1] = ARGV[at]
  fields[#fields + 1] = stamped .. ARGV[at + 3]
end
local count = count_write(KEYS[3], ARGV[1])
call('HSET', KEYS[1], unpack(fields))
local voided = redis.pcall('HDEL', KEYS[2], unpack(keys))
if type(voided) == 'table' then
  call('UNLINK', KEYS[2])
elseif voided > 0 and call('HLEN', KEYS[2]) <= 1 then
  call('UNLINK', KEYS[2])
end
return count
