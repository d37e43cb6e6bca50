#!lua flags=allow-oom
-- Takes work that is due from the list, for one process alone: for a while nobody else takes it. If that process
-- dies, the work is due again then.
-- KEYS: g.
-- ARGV: how much to take, for how many milliseconds.
-- Answers how much else is due, the members that were taken.
local g, most = KEYS[1], tonumber(ARGV[1])
local present = millis(now())
local taken = redis.pcall('ZRANGEBYSCORE', g, '-inf', time_arg(present), 'LIMIT', 0, most)
if is_of_other_type(taken, g) or #taken == 0 then return {0, {}} end
local scores, due_again = {}, time_arg(present + ARGV[2])
for n = 1, #taken do
  scores[2 * n - 1] = due_again
  scores[2 * n] = taken[n]
end
call('ZADD', g, 'XX', unpack(scores))
local left = #taken == most and call('ZCOUNT', g, '-inf', time_arg(present)) or 0
return {left, taken}
