-- Counts the writes of one connection: a server that shows the count shows the write.
-- A script that writes counts before it changes anything. So a server that is out of memory refuses
-- it whole; and so does one that has lost writes of this connection, or knows that the connection was
-- given up: there the count is not above `floor`, the highest that the client has seen.
-- A write over another connection than the main one has a receipt as its last key: there the count is asked for, and
-- stays as it is. Later the script `confirm` raises it, if the receipt is there.
-- In a cluster, where the name of the count has digits behind its tag, the count of a slot whose keys are being moved
-- to another node is not raised either: a key that is not here (any more) could not be written.
local receipt = string.sub(KEYS[#KEYS], 5, 5) == 'r' and table.remove(KEYS)

local function refuse_as_lost(key)
  redis.call('DEL', key)
  error({err = 'REGIONLOST writes of this connection are not on this server'})
end

local function count_write(key, floor)
  if string.byte(key, -1) ~= 125 then
    -- No such key exists.
    local asked = redis.pcall('EXISTS', 'rc1:n' .. string.match(key, '%b{}'))
    if type(asked) == 'table' then error({err = 'TRYAGAIN the slot is being moved'}) end
  end
  if receipt then
    local shown = redis.pcall('GET', key)
    local count = type(shown) == 'string' and tonumber(shown)
    if not count or count < tonumber(floor) then refuse_as_lost(key) end
    redis.call('SET', receipt, '', 'PX', 60000)
    return count
  end
  local count = redis.pcall('INCR', key)
  if type(count) == 'table' then
    if string.sub(count.err, 1, 9) ~= 'WRONGTYPE' and not string.find(count.err, 'not an integer') then
      error(count)
    end
    redis.call('DEL', key)
    count = redis.call('INCR', key)
  end
  if count <= tonumber(floor) then refuse_as_lost(key) end
  return count
end
