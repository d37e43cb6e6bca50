#!lua flags=allow-oom
-- Makes a connection's count of writes ready, and retires those of connections that were given up:
-- a write that still arrives over one of these is refused.
-- KEYS: the count, the counts to retire.
-- ARGV: for how many milliseconds the count lives unless it is refreshed.
-- Answers the count.
for at = 2, #KEYS do redis.call('DEL', KEYS[at]) end
local count = redis.pcall('INCR', KEYS[1])
if type(count) == 'table' then
  redis.call('DEL', KEYS[1])
  count = redis.call('INCR', KEYS[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return count
