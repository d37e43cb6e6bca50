-- Counts a region's fresh entries, a page at a time.
-- KEYS: d, the i keys from the root down.
-- ARGV: depth, cursor, about how many to look at.
-- Answers: the next cursor, '0' if this was the last page; how many are fresh.
local now = time()
local d = KEYS[1]
local path = call('MGET', unpack(KEYS, 2, 1 + tonumber(ARGV[1])))
if not all_born(path) then return {'0', 0} end
local life, mark = life_of(path), mark_of(path)
if not deadline_of(hmget(d, {''})[1], life, now) then return {'0', 0} end
local page = call('HSCAN', d, ARGV[2], 'COUNT', ARGV[3])
local fresh = 0
for at = 1, #page[2], 2 do
  if page[2][at] ~= '' and freshness(page[2][at + 1], path, mark, now) == 'fresh' then
    fresh = fresh + 1
  end
end
return {page[1], fresh}
