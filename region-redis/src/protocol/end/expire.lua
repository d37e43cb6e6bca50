#!lua flags=allow-oom
-- Makes what a region and all below it hold stale.
-- KEYS: the count of the client's writes, the i keys from the root down.
-- ARGV: the floor of the count, a new `soft`.
-- Answers the count, i values.

-- Adds an expiration to those seen so far. The list is bounded: the two that are nearest to each
-- other become one interval, in which an entry's window begins with its put. That is never too late.
local function add(intervals)
  intervals[#intervals + 1] = {now(), now()}
  if #intervals <= MAX_INTERVALS then return end
  local nearest, at = nil, nil
  for n = 2, #intervals do
    local gap = intervals[n][1] - intervals[n - 1][2]
    if not nearest or gap < nearest then nearest, at = gap, n end
  end
  intervals[at - 1][2] = intervals[at][2]
  table.remove(intervals, at)
end

local count = count_write(KEYS[1], ARGV[1])
local path = call('MGET', unpack(KEYS, 2))
local ids = path[#path]
if is_ids(ids) then
  local intervals = {}
  for at = SOFT_END + 1, #ids, INTERVAL do
    local from, to = struct.unpack('>I7I7', ids, at)
    intervals[#intervals + 1] = {from, to}
  end
  add(intervals)
  local parts = {sub(ids, 1, IDS), ARGV[2]}
  for _, interval in ipairs(intervals) do
    parts[#parts + 1] = struct.pack('>I7I7', interval[1], interval[2])
  end
  path[#path] = concat(parts)
  call('SET', KEYS[#KEYS], path[#path], 'KEEPTTL')
end
return {count, path}
