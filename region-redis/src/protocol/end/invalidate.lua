#!lua flags=allow-oom
-- Ends a region and all below it, however much that is; and drops the entries and leases of other
-- regions in the same step.
-- KEYS: the count of the client's writes, g, c, the tombstone that c becomes, the parent's c, i, the d
-- and l keys to drop.
-- ARGV: the floor of the count, the tombstone's member of g, the region's member of g, the region's last segment or
-- '' if it has no parent, the members of g of the regions to look at: 'P'arent, if the region was listed there,
-- 'A'ncestors, or the region itself as an a'N'chor, at once: its parent's list lies in another slot.
-- Answers the count.
local call = redis.call

-- How long a region may still be used of which nothing is left but ids that never expire.
local IDLE_MS = 60000

local count = count_write(KEYS[1], ARGV[1])
call('UNLINK', unpack(KEYS, 6))

-- Members of g, each after the time when to look.
local work = {}
if call('EXISTS', KEYS[3]) == 1 then
  call('RENAME', KEYS[3], KEYS[4])
  work = {'0', ARGV[2]}
  -- A list of children was to be looked at once they have ended, which may be long after this.
  redis.pcall('ZREM', KEYS[2], ARGV[3])
end
local was_listed = ARGV[4] ~= '' and redis.pcall('ZREM', KEYS[5], ARGV[4], ':' .. ARGV[4]) == 1
if #ARGV > 5 and (was_listed or ARGV[5] ~= 'P') then
  local time = call('TIME')
  local idle = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + IDLE_MS)
  if ARGV[5] == 'N' then idle = '0' end
  for at = 6, #ARGV do
    work[#work + 1] = idle
    work[#work + 1] = ARGV[at]
  end
end
if #work > 0 and type(redis.pcall('ZADD', KEYS[2], 'LT', unpack(work))) == 'table' then
  -- It is of another type.
  call('UNLINK', KEYS[2])
  call('ZADD', KEYS[2], unpack(work))
end
return count
