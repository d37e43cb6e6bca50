#!lua flags=allow-oom
-- Ends the life of a region and of all below it, and drops the entries and leases of each of its
-- ancestors, in one step.
-- KEYS: the count of the client's writes; the region's i; the d and l keys of the region and its
-- ancestors.
-- ARGV: the floor of the count, new ids, the region's path, an id for a grave.
-- Answers the count.
local count = count_write(KEYS[1], ARGV[1])
local ids = call('MGET', KEYS[2])[1]
if is_born(ids) then call('SET', KEYS[2], ARGV[2] .. sub(ids, 17), 'KEEPTTL') end
call('UNLINK', unpack(KEYS, 3, #KEYS))
bury(KEYS[2], ARGV[4], ARGV[3])
return count
