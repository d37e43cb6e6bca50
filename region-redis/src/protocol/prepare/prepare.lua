#!lua flags=allow-oom
-- Makes a connection's count of writes ready, and retires those of connections that were given up:
-- a write that still arrives over one of these is refused.
-- KEYS: the list of counts, the count, a count that shows whether the server still has earlier writes, the
-- counts to retire.
-- ARGV: for how many milliseconds the count is kept unless it is refreshed.
-- Answers the count, counts that are overdue, and the count that shows earlier writes or zero.
local list, key = KEYS[1], KEYS[2]
local shown = redis.pcall('GET', KEYS[3])
if type(shown) ~= 'string' then shown = '0' end
local count = redis.pcall('INCR', key)
if type(count) == 'table' then
  call('DEL', key)
  count = call('INCR', key)
end
keep(list, key, ARGV[1])
for at = 4, #KEYS do retire(list, KEYS[at]) end
return {count, overdue(list), shown}
