#!lua flags=allow-oom
-- Drops the entries and leases of a region and of each of its ancestors.
-- KEYS: the count of the client's writes; the d and l keys.
-- ARGV: the floor of the count.
-- Answers the count.
local count = count_write(KEYS[1], ARGV[1])
call('UNLINK', unpack(KEYS, 2, #KEYS))
return count
