#!lua flags=allow-oom
-- Drops children that have ended from a region's list; and has the region's own ids expire if they
-- never did and nothing is left that never does.
-- KEYS: the i keys from the root down to the region.
-- ARGV: how many children to drop, an id for a tombstone.
-- Answers how many were dropped; fewer than asked for: all.
local most = tonumber(ARGV[1])
local depth, i = #KEYS, KEYS[#KEYS]
local c, g, member = sibling('c', i), root_key('g', i), ' ' .. text_of(i)
local path = call('MGET', unpack(KEYS))
local stamp = list_stamp(c)
local is_there = exists(path)
if stamp and not (is_there and stamp == '.' .. trees_of(path, depth)) then
  make_tombstone(i, ARGV[2])
  stamp = nil
end
if not is_there then
  call('ZREM', g, member)
  return 0
end

local present = millis(now())
local ended, soonest, last = {}, nil, nil
if stamp then
  ended = call('ZRANGEBYSCORE', c, '(-inf', time_arg(present), 'LIMIT', 0, most)
  if #ended > 0 then call('ZREM', c, unpack(ended)) end
  if #ended == most then return most end
  if call('ZCARD', c) <= 1 then
    call('UNLINK', c)
  else
    soonest = call('ZRANGEBYSCORE', c, '(' .. time_arg(present), '(+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
    last = call('ZREVRANGE', c, 0, 0, 'WITHSCORES')[2]
  end
end

-- When what is there has ended; nil: never.
local function last_end()
  if last == 'inf' then return nil end
  local left = call('PTTL', sibling('d', i))
  if left == -1 then return nil end
  left = math.max(left, call('PTTL', sibling('l', i)), IDLE_MS)
  return math.max(present + left, tonumber(last or 0))
end

local expiry = expiry_of(path[depth]) == 0 and last_end()
if expiry then
  path[depth] = store_ids(i, path[depth], expiry)
  if last then call('PEXPIREAT', c, last) end
  relist(path, KEYS, {depth})
  local parent = parent_of(i)
  if parent then look_at(parent, expiry) end
end
if soonest then
  call('ZADD', g, time_arg(math.max(tonumber(soonest), present + LOOK_MS)), member)
else
  call('ZREM', g, member)
end
return #ended
