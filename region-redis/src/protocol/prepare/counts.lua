-- The counts of writes, and the list of when each is given up for dead: a sorted set, by microseconds.
-- They have no expiry of their own: under the `volatile-` policies a full server would evict the live ones first.
local call = redis.call

local MOST_OVERDUE = 64

local function now()
  local time = call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Keeps a count for so many milliseconds from now on.
local function keep(list, count, lifetime)
  local due = string.format('%.0f', now() + lifetime * 1000)
  local added = redis.pcall('ZADD', list, due, count)
  if type(added) == 'table' then
    call('DEL', list)
    call('ZADD', list, due, count)
  end
end

local function retire(list, count)
  call('DEL', count)
  call('ZREM', list, count)
end

-- The counts that nobody keeps any more, longest dead first.
local function overdue(list)
  return call('ZRANGEBYSCORE', list, '-inf', string.format('%.0f', now()), 'LIMIT', 0, MOST_OVERDUE)
end
