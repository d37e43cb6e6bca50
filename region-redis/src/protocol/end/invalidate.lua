#!lua flags=allow-oom
-- Ends a region and all below it, however much that is; and drops the entries and leases of other
-- regions in the same step.
-- KEYS: the count of the client's writes, i, the d and l keys to drop.
-- ARGV: the floor of the count, an id for a tombstone.
-- Answers the count.
local count = count_write(KEYS[1], ARGV[1])
local i = KEYS[2]
call('UNLINK', unpack(KEYS, 2))
bury(i, ARGV[2])
local parent, segment = parent_of(i)
if parent then
  local c = sibling('c', parent)
  local listed = redis.pcall('ZREM', c, segment)
  -- The parent may have nothing else any more.
  if not is_of_other_type(listed, c) and listed == 1 then
    look_at(parent, millis(now()) + IDLE_MS)
  end
end
-- Nor may those of whose entries only the ids are left.
while parent and #KEYS > 4 do
  look_at(parent, millis(now()) + IDLE_MS)
  parent = parent_of(parent)
end
return count
