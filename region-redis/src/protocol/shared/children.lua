-- Lists of children (`c`), and what the reclaimer has to look at (`g`). A child's score is when its
-- ids expire, in milliseconds; the stamp, with the lowest of all scores, names the list's trees. A child is
-- hidden, a colon before its name, while it holds a marker alone: then it is freed like any other, and not shown.
local HIDDEN = ':'

-- How soon a list is looked at again.
local LOOK_MS = 10000
-- How long a region may still be used of which nothing is left but ids that never expire.
local IDLE_MS = 60000

local function list_stamp(c)
  local first = redis.pcall('ZRANGE', c, 0, 0)
  if is_of_other_type(first, c) then return nil end
  return first[1]
end

local function zadd(key, ...)
  local added = redis.pcall('ZADD', key, ...)
  if is_of_other_type(added, key) then return call('ZADD', key, ...) end
  return added
end

local function score_of(expiry)
  return expiry == 0 and '+inf' or string.format('%.17g', expiry)
end

-- Has the reclaimer look at a region at this time, or sooner.
local function look_at(i, time)
  zadd(shared_key('g', i), 'LT', time_arg(time), ' ' .. text_of(i))
end

-- Leaves a dead list of children to the reclaimer: it becomes a tombstone.
local function make_tombstone(i, id)
  local c = sibling('c', i)
  if call('EXISTS', c) == 0 then return end
  call('RENAME', c, shared_key('x', i) .. id)
  zadd(shared_key('g', i), '0', id .. ' ' .. text_of(i))
end

-- A list lives as long as the child that lives longest.
local function keep_list(c, expiry, is_new)
  if expiry == 0 then
    call('PERSIST', c)
  elseif is_new then
    call('PEXPIREAT', c, time_arg(expiry))
  else
    call('PEXPIREAT', c, time_arg(expiry), 'GT')
  end
end

-- Lists a child of the region at `depth` until it ends, unless it is listed so already. Drops a few that have ended
-- in return, so that a list does not grow beyond the children there are at a time. One that is to be hidden stays
-- shown if it is.
local function list_segment(path, i, depth, id, segment, expiry, is_hidden)
  local parent, c = i[depth], sibling('c', i[depth])
  local stamp = '.' .. trees_of(path, depth)
  local is_new = list_stamp(c) ~= stamp
  local shown = not is_new and call('ZSCORE', c, segment)
  if shown and shown ~= 'inf' and tonumber(shown) <= millis(now()) then
    call('ZREM', c, segment)
    shown = false
  end
  local name = is_hidden and not shown and HIDDEN .. segment or segment
  if is_new then
    make_tombstone(parent, id .. depth)
    call('ZADD', c, '-inf', stamp, score_of(expiry), name)
  else
    local score = shown or call('ZSCORE', c, name)
    if score and (expiry == 0 and score == 'inf' or tonumber(score) == expiry) then return end
    local ended = call('ZRANGEBYSCORE', c, '(-inf', time_arg(millis(now())), 'LIMIT', 0, 2)
    if #ended > 0 then call('ZREM', c, unpack(ended)) end
    if not is_hidden and not shown then call('ZREM', c, HIDDEN .. segment) end
    call('ZADD', c, score_of(expiry), name)
  end
  keep_list(c, expiry, is_new)
  if expiry ~= 0 then look_at(parent, math.max(expiry, millis(now()) + LOOK_MS)) end
end

-- Lists the child that the path goes on to from the region at `depth`.
local function list_child(path, i, depth, id, is_hidden)
  local _, segment = parent_of(i[depth + 1])
  list_segment(path, i, depth, id, segment, expiry_of(path[depth + 1]), is_hidden)
end

-- Lists the new ends of the ids of a path in the lists of their parents.
local function relist(path, i, depths)
  for _, depth in ipairs(depths) do
    if depth > 1 and i[depth - 1] then
      local c = sibling('c', i[depth - 1])
      local _, segment = parent_of(i[depth])
      if list_stamp(c) == '.' .. trees_of(path, depth - 1) then
        local score = score_of(expiry_of(path[depth]))
        call('ZADD', c, 'XX', score, segment, score, HIDDEN .. segment)
        keep_list(c, expiry_of(path[depth]), false)
      end
    end
  end
end
