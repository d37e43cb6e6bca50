#!lua flags=allow-oom
-- Takes an anchor off the list of its parent's children, unless it has been listed again since its score was read.
-- KEYS: the parent's c.
-- ARGV: the member, its score.
-- Answers 1, or 0 if it has been listed again or is not listed.
local score = redis.pcall('ZSCORE', KEYS[1], ARGV[1])
if type(score) ~= 'string' or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
