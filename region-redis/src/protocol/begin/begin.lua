-- Creates the region if it is missing, reads keys and takes their leases.
-- KEYS: d, l, the count of the client's writes, the i keys from the root down.
-- ARGV: the floor of the count, new ids, token, milliseconds, 'U'nless fresh | 'A'lways | 'E'xtend, keys ...
-- Answers: the count, 1 if it created anything or else 0, the count before this call, time, i values, stamp,
-- entries, leases (0 not taken, 1 granted, or the holder).
local d, l = KEYS[1], KEYS[2]
local i_here = slice(KEYS, 4, #KEYS)
local i = whole_path(i_here)
local token, duration, take = ARGV[3], tonumber(ARGV[4]), ARGV[5]
local keys, fields = slice(ARGV, 6, #ARGV), slice(ARGV, 5, #ARGV)
fields[1] = ''

-- Removes a lease whose holder never came back, if chance finds one.
local function sweep_leases()
  local found = call('HRANDFIELD', l, 1, 'WITHVALUES')
  if found[1] and found[1] ~= '' and lease_left(found[2]) == 0 then
    call('HDEL', l, found[1])
  end
end

if check_claim then check_claim() end
local count = count_write(KEYS[3], ARGV[1])
if accept_claim then accept_claim() end
local path = read_path(i_here)
local is_missing = not exists(path)
if is_missing then draw_ids(path, ARGV[2]) end
local trees, mark = trees_of(path, #path), mark_of(path)
local under = trees .. mark

local found = hmget(d, fields)
local is_valid = valid_stamp(found[1], trees) ~= nil
local held = hmget(l, fields)
local leases_valid = held[1] == under
if held[1] and not leases_valid then call('UNLINK', l) end

local entries, leases, taken = {}, {}, {}
for n = 1, #keys do
  local entry = is_valid and found[n + 1]
  local state = entry and freshness(entry, path, mark)
  entries[n] = state and entry or false
  local lease = leases_valid and held[n + 1]
  local left = lease_left(lease)
  if left > 0 and sub(lease, 1, 8) == token then
    leases[n] = 1
  elseif state == 'fresh' and take == 'U' then
    leases[n] = 0
  elseif left > 0 then
    leases[n] = sub(lease, 1, 8) .. struct.pack('>I6', left)
  else
    leases[n] = take == 'E' and 0 or 1
  end
  if leases[n] == 1 then taken[#taken + 1] = keys[n] end
end
if #taken > 0 then
  local lease = token .. struct.pack('>I6', millis(now()) + duration)
  local waiting = {'', under}
  for n = 1, #taken do
    waiting[#waiting + 1] = taken[n]
    waiting[#waiting + 1] = lease
  end
  for from = 1, #waiting, CHUNK do
    call('HSET', l, unpack(waiting, from, math.min(from + CHUNK - 1, #waiting)))
  end
  if call('PTTL', l) < duration then call('PEXPIRE', l, duration) end
  sweep_leases()
end
if is_missing or #taken > 0 then
  -- The ids have to be there when the load is stored, however long it takes.
  local changed = extend_path(path, i, duration, #i)
  relist(path, i, changed)
  -- Writing a key ends its tracking: reading it begins it again.
  if #changed > 0 then call('MGET', unpack(i_here)) end
end
local shown = receipt and count or count - 1
return {count, is_missing and 1 or 0, shown, now(), path, found[1] or false, entries, leases}
