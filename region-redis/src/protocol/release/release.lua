#!lua flags=allow-oom
-- Gives back the leases that one token holds; those of others stay.
-- KEYS: l.
-- ARGV: the token, keys ...
-- Answers how many were given back.
local l, token = KEYS[1], ARGV[1]
local fields = slice(ARGV, 2, #ARGV)
local freed = 0
for n, lease in ipairs(hmget(l, fields)) do
  if lease and #lease == 14 and string.sub(lease, 1, 8) == token then
    freed = freed + call('HDEL', l, fields[n])
  end
end
if freed > 0 and call('HLEN', l) <= 1 then call('UNLINK', l) end
return freed
