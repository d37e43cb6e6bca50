#!lua flags=allow-oom
-- Ends the life of the entries of a region and of each of its ancestors.
-- KEYS: the i, d and l keys from the root down, and the writer's count if it is kept.
-- ARGV: depth, a new `own` for each.
-- Answers the count.
local depth = tonumber(ARGV[1])
local i = slice(KEYS, 1, depth)
for at, ids in ipairs(call('MGET', unpack(i))) do
  if is_born(ids) then
    local own = sub(ARGV[2], (at - 1) * 8 + 1, at * 8)
    call('SET', i[at], sub(ids, 1, 8) .. own .. sub(ids, IDS + 1), 'KEEPTTL')
  end
end
call('UNLINK', unpack(KEYS, depth + 1, depth * 3))
return count_write(KEYS[depth * 3 + 1])
