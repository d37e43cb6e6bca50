-- Gives birth where needed, reads keys and takes their leases.
-- KEYS: d, l, the count of the client's writes, the i keys from the root down.
-- ARGV: the floor of the count, ids for births, token, milliseconds, 'U'nless fresh | 'A'lways | 'E'xtend, keys ...
-- Answers: the count if it gave birth or else 0, the count before this call, time, i values, stamp, entries, leases (0 not taken, 1 granted, or the holder).
local d, l = KEYS[1], KEYS[2]
local i = slice(KEYS, 4, #KEYS)
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

local count = count_write(KEYS[3], ARGV[1])
local path = call('MGET', unpack(i))
local created = not all_born(path)
if created then give_birth(path, i, ARGV[2]) end
local life, mark = life_of(path), mark_of(path)
local under = life .. mark

local found = hmget(d, fields)
local is_alive = read_stamp(found[1], life)
local held = hmget(l, fields)
local leases_alive = held[1] == under
if held[1] and not leases_alive then call('UNLINK', l) end

local entries, leases, taken = {}, {}, {}
for n = 1, #keys do
  local entry = is_alive and found[n + 1]
  local state = entry and freshness(entry, path, mark)
  entries[n] = state and entry or false
  local lease = leases_alive and held[n + 1]
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
  call('HSET', l, '', under, taken[1], lease)
  for n = 2, #taken do call('HSET', l, taken[n], lease) end
  if call('PTTL', l) < duration then call('PEXPIRE', l, duration) end
  sweep_leases()
  -- A load may take longer than the ids live that were born for it.
  extend_path(path, i, math.max(duration, BIRTH_MS / IDS_MARGIN))
end
return {created and count or 0, count - 1, now(), path, found[1] or false, entries, leases}
