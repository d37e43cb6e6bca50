#!lua flags=allow-oom
-- Ends the life of the entries of a region and of each of its ancestors.
-- KEYS: the count of the client's writes; the i, d and l keys from the root down.
-- ARGV: the floor of the count, a new `own` for each.
-- Answers the count.
local count = count_write(KEYS[1], ARGV[1])
local depth = (#KEYS - 1) / 3
local i = slice(KEYS, 2, 1 + depth)
for at, ids in ipairs(call('MGET', unpack(i))) do
  if is_born(ids) then
    local own = sub(ARGV[2], (at - 1) * 8 + 1, at * 8)
    call('SET', i[at], sub(ids, 1, 8) .. own .. sub(ids, 17), 'KEEPTTL')
  end
end
call('UNLINK', unpack(KEYS, depth + 2, #KEYS))
return count
