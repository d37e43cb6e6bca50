#!lua flags=allow-oom
-- Frees a few of the regions that an invalidation left behind: what belongs to a life that is over.
-- Whatever is alive stays, so that it may run at any time, by anyone, any number of times.
-- KEYS: the i keys from the root down to the region whose children are looked at.
-- ARGV: the grave's id, the region's path, how many children to look at, an id for graves.
-- Answers how many children were looked at; 0 if the grave is empty and gone.
local id, text = ARGV[1], ARGV[2]
local i = KEYS[#KEYS]
local graves, grave = root_key('g', i), root_key('x', i) .. id
local path = call('MGET', unpack(KEYS))
local depth = #path
local parent_born = all_born(path)

local function name(letter, segment)
  return 'rc1:' .. letter .. sub(i, 6) .. '.' .. segment
end

-- Frees what is dead of one child.
local function free(segment, n)
  local child, d, l = name('i', segment), name('d', segment), name('l', segment)
  path[depth + 1] = call('MGET', child)[1]
  local born = parent_born and is_born_at(path, depth + 1)
  local life = born and life_of(path)
  local d_alive = born and read_stamp(stamp_of(d), life)
  local l_alive = born and stamp_of(l) == life .. mark_of(path)
  local c_alive = born and stamp_of(children_of(child)) == trees_of(path, depth + 1)
  if not d_alive then call('UNLINK', d) end
  if not l_alive then call('UNLINK', l) end
  if not c_alive then bury(child, ARGV[4] .. n, text .. '.' .. segment) end
  -- Ids of the present life may be those of a load that has nothing to show yet.
  if not born then call('UNLINK', child) end
end

local found = redis.pcall('HRANDFIELD', grave, ARGV[3])
if is_of_other_type(found, grave) then found = {} end
local looked = 0
for n, segment in ipairs(found) do
  if segment ~= '' then
    free(segment, n)
    looked = looked + 1
  end
end
for from = 1, #found, CHUNK do
  call('HDEL', grave, unpack(found, from, math.min(from + CHUNK - 1, #found)))
end
if looked == 0 and call('EXISTS', grave) == 0 then call('SREM', graves, id .. ' ' .. text) end
return looked
