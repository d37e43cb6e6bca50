-- Counts a region's fresh entries, a page at a time.
-- KEYS: d, the i keys from the root down.
-- ARGV: cursor, about how many to look at.
-- Answers: the next cursor, '0' if this was the last page; how many are fresh.
local d = KEYS[1]
local path = call('MGET', unpack(KEYS, 2, #KEYS))
if not all_born(path) or not read_stamp(stamp_of(d), life_of(path)) then return {'0', 0} end
local mark = mark_of(path)
local page = call('HSCAN', d, ARGV[1], 'COUNT', ARGV[2])
local fresh = 0
for at = 1, #page[2], 2 do
  if page[2][at] ~= '' and freshness(page[2][at + 1], path, mark) == 'fresh' then
    fresh = fresh + 1
  end
end
return {page[1], fresh}
