#!lua flags=allow-oom
-- Drops children that have ended from a region's list; and lets the region's own ids expire if they never did and
-- nothing is left that never does, or if nothing is left at all.
-- KEYS: g, c, d, l, the tombstone that c becomes, the parent's c (of a root: c), the i keys from the root down to
-- the region.
-- ARGV: how many children to drop, an id for a tombstone.
-- Answers how many were dropped.
local most = tonumber(ARGV[1])
local g, c, d, l = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local names_here = slice(KEYS, 7, #KEYS)
local names = whole_path(names_here)
local depth, i = #names, names[#names]
local member = ' ' .. text_of(i)
if check_claim then
  check_claim()
  accept_claim()
end
local path = read_path(names_here)
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
  if #ended == most then
    -- There may be more of them, which anyone may drop now.
    zadd(g, time_arg(present), member)
    return most
  end
  if call('ZCARD', c) <= 1 then
    call('UNLINK', c)
  else
    soonest = call('ZRANGEBYSCORE', c, '(' .. time_arg(present), '(+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
    last = call('ZREVRANGE', c, 0, 0, 'WITHSCORES')[2]
  end
end

-- When the ids are to expire; nil if that is as it should be.
local function new_expiry()
  local expiry = expiry_of(path[depth])
  if last == 'inf' or last and expiry ~= 0 then return nil end
  local left = call('PTTL', d)
  if left == -1 or left ~= -2 and expiry ~= 0 then return nil end
  left = math.max(left, call('PTTL', l), IDLE_MS)
  local ends = math.max(present + left, tonumber(last or 0))
  if expiry == 0 or expiry > ends then return ends end
end

local expiry = new_expiry()
if expiry then
  path[depth] = store_ids(i, path[depth], expiry)
  if last then call('PEXPIREAT', c, last) end
  relist(path, names, {depth})
  local parent = parent_of(i)
  if parent then look_at(parent, expiry) end
end
if soonest then
  call('ZADD', g, time_arg(math.max(tonumber(soonest), present + LOOK_MS)), member)
else
  call('ZREM', g, member)
end
return #ended
