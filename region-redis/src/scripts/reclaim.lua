#!lua flags=allow-oom
-- Frees a few of the regions that an invalidation left behind: what belongs to a life that is over.
-- Whatever is alive stays, so that it may run at any time, by anyone, any number of times.
-- KEYS: the set of graves, the beginning of a grave's name, the i keys from the root down to the
-- region whose children are looked at. The names of the children's keys follow from the region's:
-- they lie in the same slot.
-- ARGV: depth, the grave's id, the region's path, how many children to look at, the names of the
-- region's i, d, l and c keys.
-- Answers how many children were looked at; 0 if the grave is empty and gone.
local depth = tonumber(ARGV[1])
local graves, name, id, text = KEYS[1], KEYS[2] .. ARGV[2], ARGV[2], ARGV[3]
local member = id .. ' ' .. text
local now = time()
local path = call('MGET', unpack(KEYS, 3, 2 + depth))
local parent_born = all_born(path)

-- Frees what is dead of one child; whether nothing is left of it.
local function free(segment, n)
  local i, d = ARGV[5] .. '.' .. segment, ARGV[6] .. '.' .. segment
  local l, c = ARGV[7] .. '.' .. segment, ARGV[8] .. '.' .. segment
  path[depth + 1] = call('MGET', i)[1]
  local born = parent_born and is_born(path[depth + 1])
  local life = born and life_of(path)
  local stamp, leases = hmget(d, {''})[1], hmget(l, {''})[1]
  local trees = hmget(c, {''})[1]
  local d_alive = born and deadline_of(stamp, life, now) ~= nil
  local l_alive = born and leases == life .. mark_of(path)
  local c_alive = born and trees == trees_of(path, depth + 1)
  if not d_alive then call('UNLINK', d) end
  if not l_alive then call('UNLINK', l) end
  if not c_alive then bury(c, graves, KEYS[2], id .. '.' .. n, text .. '.' .. segment) end
  if not (d_alive or l_alive or c_alive) then call('UNLINK', i) end
end

local found = redis.pcall('HRANDFIELD', name, ARGV[4])
if found.err then
  call('UNLINK', name)
  found = {}
end
local looked = 0
for n, segment in ipairs(found) do
  if segment ~= '' then
    free(segment, ARGV[9] .. n)
    looked = looked + 1
  end
end
for from = 1, #found, CHUNK do
  call('HDEL', name, unpack(found, from, math.min(from + CHUNK - 1, #found)))
end
if looked == 0 and call('EXISTS', name) == 0 then call('SREM', graves, member) end
return looked
