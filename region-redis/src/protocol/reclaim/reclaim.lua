#!lua flags=allow-oom
-- Frees a few of the regions that an invalidation left behind: what belongs to other trees than those
-- of now. Whatever is valid stays, so that it may run at any time, by anyone, any number of times.
-- KEYS: the i keys from the root down to the region whose children are looked at.
-- ARGV: the tombstone's id, how many children to look at, an id for tombstones.
-- Answers how many children were looked at; 0 if the tombstone is empty and gone.
local id = ARGV[1]
local i = KEYS[#KEYS]
local tombstone = root_key('x', i) .. id
local path = call('MGET', unpack(KEYS))
local depth = #path
local parent_exists = exists(path)

-- Frees what is dead of one child.
local function free(segment, n)
  local child = i .. '.' .. segment
  local d, l, c = sibling('d', child), sibling('l', child), sibling('c', child)
  path[depth + 1] = call('MGET', child)[1]
  local is_there = parent_exists and exists_at(path, depth + 1)
  local trees = is_there and trees_of(path, depth + 1)
  if not (is_there and valid_stamp(stamp_of(d), trees)) then call('UNLINK', d) end
  if not (is_there and stamp_of(l) == trees .. mark_of(path)) then call('UNLINK', l) end
  if not (is_there and list_stamp(c) == '.' .. trees) then make_tombstone(child, ARGV[3] .. n) end
  -- Ids of the present trees may be those of a load that has nothing to show yet.
  if not is_there then call('UNLINK', child) end
end

local found = redis.pcall('ZPOPMIN', tombstone, ARGV[2])
if is_of_other_type(found, tombstone) then found = {} end
local looked = 0
for n = 1, #found, 2 do
  if sub(found[n], 1, 1) ~= '.' then
    free(string.gsub(found[n], '^' .. HIDDEN, ''), n)
    looked = looked + 1
  end
end
if looked == 0 and call('EXISTS', tombstone) == 0 then
  call('ZREM', root_key('g', i), id .. ' ' .. text_of(i))
end
return looked
