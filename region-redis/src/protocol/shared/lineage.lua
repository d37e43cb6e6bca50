-- What is valid now.
local concat, sub, byte, char = table.concat, string.sub, string.byte, string.char

-- The server's time in microseconds; it stands still while a script runs.
local clock
local function now()
  if not clock then
    local time = call('TIME')
    clock = time[1] * 1000000 + time[2]
  end
  return clock
end

local function millis(micros)
  return math.floor(micros / 1000)
end

-- The stamp of a hash if its entries belong to these trees and the region's TTL is not over.
local function valid_stamp(stamp, trees)
  local parts = split_stamp(stamp, trees)
  if parts and parts.kind == TTL and parts.time <= millis(now()) then return nil end
  return parts
end

-- For how many milliseconds a lease lasts: a token, and when it is over.
local function lease_left(lease)
  if not lease or #lease ~= 14 then return 0 end
  return math.max(struct.unpack('>I6', lease, 9) - millis(now()), 0)
end
