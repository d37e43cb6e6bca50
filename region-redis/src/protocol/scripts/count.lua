-- Counts a write of one client: a server that shows the count shows the write.
local function count_write(key)
  local count = redis.pcall('INCR', key)
  if type(count) == 'table' then
    call('SET', key, '1')
    count = 1
  end
  -- A day: longer than any connection goes without a write that has to be shown.
  if count % 256 == 1 then call('PEXPIRE', key, 86400000) end
  return count
end
