#!lua flags=allow-oom
-- Ends the life of a region and of all below it, however much that is.
-- KEYS: i, d, l, the count of the client's writes.
-- ARGV: the floor of the count, new ids, the region's path, an id for a grave.
-- Answers the count.
local count = count_write(KEYS[4], ARGV[1])
local ids = call('MGET', KEYS[1])[1]
-- A region that is not born may stay so.
if is_born(ids) then call('SET', KEYS[1], ARGV[2] .. sub(ids, 17), 'KEEPTTL') end
call('UNLINK', KEYS[2], KEYS[3])
bury(KEYS[1], ARGV[4], ARGV[3])
return count
