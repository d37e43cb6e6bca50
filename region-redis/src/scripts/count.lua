-- Counts a write of one client: a server that shows the count shows the write.
local COUNT_MS = 86400000
local function count_write(key)
  if not key then return 0 end
  local count = redis.pcall('INCR', key)
  if type(count) == 'table' then
    call('SET', key, '1')
    count = 1
  end
  if count % 256 == 1 then call('PEXPIRE', key, COUNT_MS) end
  return count
end
