#!lua flags=allow-oom
-- Ends the life of a region and of all below it, however much that is.
-- KEYS: i, d, l, c, the set of graves, the beginning of a grave's name, and the writer's count if it
-- is kept.
-- ARGV: new ids, the region's path, an id for a grave.
-- Answers the count.
-- A region that is not born may stay so.
call('SET', KEYS[1], ARGV[1], 'XX', 'KEEPTTL')
call('UNLINK', KEYS[2], KEYS[3])
bury(KEYS[4], KEYS[5], KEYS[6], ARGV[3], ARGV[2])
return count_write(KEYS[7])
