#!lua flags=allow-oom
-- Drops the entries and leases of a region and of each of its ancestors. No ids change: whoever read
-- other regions hears nothing of it.
-- KEYS: the count of the client's writes; the i, d and l keys from the root down.
-- ARGV: the floor of the count.
-- Answers the count, i values.
local count = count_write(KEYS[1], ARGV[1])
local depth = (#KEYS - 1) / 3
local path = call('MGET', unpack(KEYS, 2, 1 + depth))
for at = 1, depth do
  local dropped = call('UNLINK', KEYS[1 + depth + at])
  -- Ids that never expire may have nothing to live for any more.
  if dropped == 1 and is_ids(path[at]) and expiry_of(path[at]) == 0 then
    look_at(KEYS[1 + at], millis(now()) + IDLE_MS)
  end
end
call('UNLINK', unpack(KEYS, 2 + 2 * depth))
return {count, path}
