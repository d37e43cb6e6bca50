-- Applies operations in order, if the guard holds.
-- KEYS: d, l, the set of graves, the beginning of a grave's name, the i keys from the root down, the
-- c keys of all ancestors, and the writer's count if it is kept.
-- ARGV: depth, ids for births, the region's path, an id for a grave, timeout ('L'eave | 'S'tart |
-- 'R'estart), its milliseconds, guard (its life, or nothing), its mark, its token, the number of its
-- keys, those keys, then operations:
--   'P', key, bytes, 'A'lways | a'B'sent | 'H'olding, bytes held, fresh ms or nothing, stale ms
--   'R'emove | 'T'ake | re'L'ease, key
-- Answers false if fenced; else count, time, when the timeout that ran is over or 0, i values, and for each operation: a put 1 or the entry
-- in its way; a removal 1 or 0; a take the entry or 0; a release 1.
local depth = tonumber(ARGV[1])
local d, l, graves, grave = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local i = slice(KEYS, 5, 4 + depth)
local c = slice(KEYS, 5 + depth, 3 + 2 * depth)
local counter = KEYS[4 + 2 * depth]

local now = time()
local path = call('MGET', unpack(i))
local born = all_born(path)
local guard, guarded = ARGV[7], tonumber(ARGV[10])
local at = 11 + guarded
local life, mark, under

local function know_lineage()
  life, mark = life_of(path), mark_of(path)
  under = life .. mark
end

if born then know_lineage() end

if guard ~= '' then
  if not born or life ~= guard or mark ~= ARGV[8] then return false end
  if guarded > 0 then
    local fields = slice(ARGV, 10, 10 + guarded)
    fields[1] = ''
    local held = hmget(l, fields)
    if held[1] ~= under then return false end
    for n = 1, guarded do
      local lease = held[n + 1]
      if not lease or sub(lease, 1, 8) ~= ARGV[9]
        or struct.unpack('>I6', lease, 9) <= millis(now) then return false end
    end
  end
end

local stamp = hmget(d, {''})[1]
local deadline = born and deadline_of(stamp, life, now) or nil
local alive = deadline ~= nil
if stamp and not alive then call('UNLINK', d) end
if not alive then deadline = 'none' end
local was_alive = alive
local running = alive and deadline ~= 'none' and deadline or 0

-- The length of what stands before an entry's bytes.
local function stamp_length(entry)
  local flags = byte(entry, 1)
  return 1 + (flags % 2 == 1 and 6 or 0) + (flags % 4 >= 2 and 13 or 0) + (flags % 8 >= 4 and 8 or 0)
end

-- Voids the leases of keys, whoever holds them.
local function void_leases(keys)
  local removed = 0
  for from = 1, #keys, CHUNK do
    local found = redis.pcall('HDEL', l, unpack(keys, from, math.min(from + CHUNK - 1, #keys)))
    if type(found) == 'table' then
      call('UNLINK', l)
      return
    end
    removed = removed + found
  end
  if removed > 0 and call('HLEN', l) <= 1 then call('UNLINK', l) end
end

-- Makes the region a child of its parent, and so on up to the root.
local function register()
  local segments = {}
  for segment in string.gmatch(ARGV[3], '[^.]+') do segments[#segments + 1] = segment end
  for at = #c, 1, -1 do
    local trees, segment = trees_of(path, at), segments[at + 1]
    local found = hmget(c[at], {'', segment})
    if found[1] ~= trees then
      bury(c[at], graves, grave, ARGV[4] .. at, concat(segments, '.', 1, at))
      call('HSET', c[at], '', trees, segment, '')
      local left = call('PTTL', i[at])
      if left > 0 then call('PEXPIRE', c[at], left) end
    elseif not found[2] then
      call('HSET', c[at], segment, '')
    end
  end
end

-- Removes entries that are over, if chance finds some: every put looks at two, so that at most about
-- half of a hash is dead.
local function sweep_entries()
  for _, key in ipairs(call('HRANDFIELD', d, 2)) do
    if key ~= '' and not freshness(call('HGET', d, key), path, mark, now) then
      call('HDEL', d, key)
    end
  end
end

local needed = 0       -- milliseconds that the longest entry lives; nil: for ever
local outcomes, put_any, removed_any, limited_any = {}, false, false, false

local function current(key)
  local entry = alive and call('HGET', d, key)
  if not entry then return nil end
  local state = freshness(entry, path, mark, now)
  if state then return entry, state end
end

local function stamped(bytes, fresh, stale)
  local flags, parts = STAMP, {'', '', '', '', bytes}
  if fresh ~= '' then
    flags = flags + HAS_END
    parts[2] = struct.pack('>I6', millis(now) + tonumber(fresh))
  end
  if stale ~= '0' then
    flags = flags + HAS_WINDOW
    parts[3] = struct.pack('>I7I6', now, tonumber(stale))
  end
  if mark ~= '' then
    flags = flags + HAS_MARK
    parts[4] = mark
  end
  parts[1] = char(flags)
  return concat(parts)
end

local function put(key, bytes, when, holding, fresh, stale)
  if when ~= 'A' then
    local entry, state = current(key)
    local is_held = when == 'H' and entry and sub(entry, stamp_length(entry) + 1) == holding
    if state == 'fresh' and not is_held then return entry end
  end
  if not born then
    give_birth(path, i, ARGV[2])
    know_lineage()
    born = true
  end
  if alive then
    call('HSET', d, key, stamped(bytes, fresh, stale))
  else
    call('HSET', d, '', life, key, stamped(bytes, fresh, stale))
    alive = true
  end
  if fresh == '' then
    needed = nil
  else
    limited_any = true
    if needed then needed = math.max(needed, tonumber(fresh) + tonumber(stale)) end
  end
  put_any = true
  return 1
end

local voided = {}
while ARGV[at] do
  local kind, key = ARGV[at], ARGV[at + 1]
  local outcome
  if kind == 'P' then
    outcome = put(key, ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6])
    if outcome == 1 then voided[#voided + 1] = key end
    at = at + 7
  else
    at = at + 2
    voided[#voided + 1] = key
    outcome = 1
    if kind ~= 'L' then
      local entry, state = current(key)
      if alive and call('HDEL', d, key) == 1 then removed_any = true end
      if kind == 'T' then outcome = entry or 0 else outcome = state == 'fresh' and 1 or 0 end
    end
  end
  outcomes[#outcomes + 1] = outcome
end

if born and #voided > 0 then void_leases(voided) end

if removed_any and call('HLEN', d) == 1 then
  call('UNLINK', d)
  alive = false
elseif alive then
  local mode, after = ARGV[5], tonumber(ARGV[6])
  local set = mode == 'R' or mode == 'S' and deadline == 'none'
  if set then
    deadline = millis(now) + after
    call('HSET', d, '', life .. struct.pack('>I6', deadline))
    call('PEXPIREAT', d, string.format('%.0f', deadline))
  elseif put_any and deadline == 'none' then
    if was_alive then
      extend(d, needed, ENTRIES_MARGIN)
    elseif needed then
      call('PEXPIRE', d, string.format('%.0f', needed * ENTRIES_MARGIN))
    end
  end
end

if put_any and alive then
  if not was_alive then register() end
  if deadline ~= 'none' then
    local left = deadline - millis(now)
    if not needed or needed > left then needed = left end
  end
  extend_path(i, c, needed)
  if limited_any then sweep_entries() end
end

return {count_write(counter), now, running, path, outcomes}
