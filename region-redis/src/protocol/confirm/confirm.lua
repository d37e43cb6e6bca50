#!lua flags=allow-oom
-- Raises the count for a write that was done over another connection than the main one.
-- KEYS: the receipt of the write, the count of the client's writes.
-- ARGV: the floor of the count.
-- Answers the count; false if the write is not on this server any more, or the receipt has been evicted.
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local count = count_write(KEYS[2], ARGV[1])
redis.call('DEL', KEYS[1])
return count
