#!lua flags=allow-oom
-- Frees some of the regions that an invalidation left behind: what belongs to other trees than those
-- of now. Whatever is valid stays, so that it may run at any time, by anyone, any number of times.
-- KEYS: g, the tombstone, the i keys from the root down to the region whose children these are; for each child:
-- i, d, l, c, and the tombstone that c becomes.
-- ARGV: the tombstone's member of g, the number of children; for each child: its member of the tombstone, the
-- member of g of what c becomes; then members of the tombstone that are no children.
-- Answers how many children were looked at.
local CHILD = 5        -- keys of each child
local g, tombstone, children = KEYS[1], KEYS[2], tonumber(ARGV[2])
local before = #KEYS - CHILD * children
local here = before - 2          -- regions of the parent's path that lie in this slot
local depth = ABOVE + here
if check_claim then
  check_claim()
  accept_claim()
end

local names = slice(KEYS, 3, before)
for n = 1, children do names[here + n] = KEYS[before + CHILD * (n - 1) + 1] end
local ids = call('MGET', unpack(names))
local path = slice(claimed, 1, ABOVE)
for n = 1, here do path[ABOVE + n] = ids[n] end
local parent_exists = exists(path)

local gone = {}        -- keys to unlink
local ended = {}       -- members of g of regions that are not there
local dead, lists = {}, {}  -- children whose lists of children are dead, and these lists

-- Decides by the same comparisons as a read.
for n = 1, children do
  local at = before + CHILD * (n - 1)
  local i, d, l, c = KEYS[at + 1], KEYS[at + 2], KEYS[at + 3], KEYS[at + 4]
  path[depth + 1] = ids[here + n]
  local is_list_dead = true
  if parent_exists and exists_at(path, depth + 1) then
    -- Ids of the present trees may be those of a load that has nothing to show yet.
    local trees = trees_of(path, depth + 1)
    if not valid_stamp(stamp_of(d), trees) then gone[#gone + 1] = d end
    if stamp_of(l) ~= trees .. mark_of(path) then gone[#gone + 1] = l end
    is_list_dead = list_stamp(c) ~= '.' .. trees
  else
    for key = at + 1, at + 3 do gone[#gone + 1] = KEYS[key] end
    ended[#ended + 1] = ' ' .. text_of(i)
  end
  if is_list_dead then
    dead[#dead + 1] = n
    lists[#lists + 1] = c
  end
end

-- Dead lists become tombstones in turn.
local found = #lists > 0 and call('EXISTS', unpack(lists)) or 0
local work = {}
for at = 1, found > 0 and #lists or 0 do
  if found == #lists or call('EXISTS', lists[at]) == 1 then
    local n = dead[at]
    call('RENAME', lists[at], KEYS[before + CHILD * n])
    work[#work + 1] = '0'
    work[#work + 1] = ARGV[2 * n + 2]
  end
end
if #gone > 0 then call('UNLINK', unpack(gone)) end

local done = slice(ARGV, 3 + 2 * children, #ARGV)
for n = 1, children do done[#done + 1] = ARGV[2 * n + 1] end
if #done > 0 then redis.pcall('ZREM', tombstone, unpack(done)) end
local left = redis.pcall('ZCARD', tombstone)
if is_of_other_type(left, tombstone) or left == 0 then
  ended[#ended + 1] = ARGV[1]
else
  -- There is more of it, which anyone may take now.
  work[#work + 1] = '0'
  work[#work + 1] = ARGV[1]
end
if #work > 0 then zadd(g, unpack(work)) end
if #ended > 0 then is_of_other_type(redis.pcall('ZREM', g, unpack(ended)), g) end
return children
