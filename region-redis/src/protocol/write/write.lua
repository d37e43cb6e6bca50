-- Applies operations in order, if the guard holds.
-- KEYS: d, l, the count of the client's writes, the i keys from the root down.
-- ARGV: the floor of the count, new ids, an id for a tombstone, the change, what happens to the region's
-- TTL ('L'eave | 'S'tart and milliseconds | 'R'estart and milliseconds), 'K' if trust is kept or '', the
-- number of guarded keys or '' without a guard; with one: its trees, its mark, its token, those keys;
-- then operations:
--   'P'ut | put if a'B'sent, key, fresh ms or '', stale ms, bytes
--   put if absent or 'H'olding, key, fresh ms or '', stale ms, bytes, bytes held
--   'R'emove | 'T'ake, key
-- Answers the count if fenced; else the count, outcomes and, if an entry is among these or trust is kept: time,
-- when the region's TTL is over that ran before or 0, i values, stamp or false. An outcome is, of a put
-- 1 or the entry in its way; of a removal 1 or 0; of a take the entry or 0.
local d, l = KEYS[1], KEYS[2]
local i_here = slice(KEYS, 4, #KEYS)
local i = whole_path(i_here)
local at = 8

-- The key of the entry of the library itself on which values of other regions hang.
local MARKER = '\0marker'

if check_claim then check_claim() end
local count = count_write(KEYS[3], ARGV[1])
if accept_claim then accept_claim() end
local path = read_path(i_here)
local is_there = exists(path)
local trees, mark

local function know_lineage()
  trees, mark = trees_of(path, #path), mark_of(path)
end

if is_there then know_lineage() end

local function guard_holds(keys)
  if not is_there or trees ~= ARGV[8] or mark ~= ARGV[9] then return false end
  if keys == 0 then return true end
  local fields = slice(ARGV, 10, 10 + keys)
  fields[1] = ''
  local held = hmget(l, fields)
  if held[1] ~= trees .. mark then return false end
  for n = 1, keys do
    local lease = held[n + 1]
    if lease_left(lease) == 0 or sub(lease, 1, 8) ~= ARGV[10] then return false end
  end
  return true
end

if ARGV[7] ~= '' then
  local keys = tonumber(ARGV[7])
  if not guard_holds(keys) then return count end
  at = 11 + keys
end

-- What the hash says of itself; nil while there is none of these trees.
local raw = stamp_of(d)
local before = is_there and valid_stamp(raw, trees) or nil
if not before then call('UNLINK', d) end

-- Whether no entry but the marker has been put: then the region does not show as a child.
local alone = not before or before.alone
local needed = 0       -- milliseconds that the longest entry lives; nil: for ever
local limited = false  -- whether an entry with an end was put
local changed, removed = false, false
local outcomes, voided, waiting = {}, {}, {}
local shows_entries = false

-- Stores the puts that have been waiting, in one call where they fit.
local function flush()
  for from = 1, #waiting, CHUNK do
    call('HSET', d, unpack(waiting, from, math.min(from + CHUNK - 1, #waiting)))
  end
  waiting = {}
end

local function current(key)
  flush()
  local entry = (before or changed) and call('HGET', d, key)
  if not entry then return nil end
  local state = freshness(entry, path, mark)
  if state then return entry, state end
end

local function stamped(bytes, fresh, stale)
  local flags, ends, window = STAMP, '', ''
  if fresh ~= '' then
    flags, ends = flags + HAS_END, struct.pack('>I6', millis(now()) + fresh)
  end
  if stale ~= '0' then
    flags, window = flags + HAS_WINDOW, struct.pack('>I7I6', now(), stale)
  end
  if mark ~= '' then flags = flags + HAS_MARK end
  return char(flags) .. ends .. window .. mark .. bytes
end

local function put(key, fresh, stale, bytes)
  if not is_there then
    draw_ids(path, ARGV[2])
    know_lineage()
    is_there = true
  end
  waiting[#waiting + 1] = key
  waiting[#waiting + 1] = stamped(bytes, fresh, stale)
  if fresh == '' then
    needed = nil
  else
    limited = true
    if needed then needed = math.max(needed, fresh + stale) end
  end
  if key ~= MARKER then alone = false end
  voided[#voided + 1] = key
  changed = true
  return 1
end

-- The entry that is in a put's way.
local function in_the_way(key, held)
  local entry, state = current(key)
  if state ~= 'fresh' then return nil end
  if held and sub(entry, stamp_length(byte(entry, 1)) + 1) == held then return nil end
  shows_entries = true
  return entry
end

local function drop(kind, key)
  voided[#voided + 1] = key
  local entry, state = current(key)
  if (before or changed) and call('HDEL', d, key) == 1 then changed, removed = true, true end
  if kind == 'R' then return state == 'fresh' and 1 or 0 end
  shows_entries = shows_entries or entry ~= nil
  return entry or 0
end

while ARGV[at] do
  local op, key, outcome = ARGV[at], ARGV[at + 1], nil
  if op == 'P' then
    outcome = put(key, ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
    at = at + 5
  elseif op == 'B' or op == 'H' then
    outcome = in_the_way(key, op == 'H' and ARGV[at + 5])
      or put(key, ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
    at = at + (op == 'H' and 6 or 5)
  else
    outcome = drop(op, key)
    at = at + 2
  end
  outcomes[#outcomes + 1] = outcome
end

-- Voids the leases of what was changed.
local function void_leases()
  local gone = 0
  for from = 1, #voided, CHUNK do
    local found = redis.pcall('HDEL', l, unpack(voided, from, math.min(from + CHUNK - 1, #voided)))
    if is_of_other_type(found, l) then return end
    gone = gone + found
  end
  if gone > 0 and call('HLEN', l) <= 1 then call('UNLINK', l) end
end

-- Whether nothing is left but the stamp; then the hash goes.
local function is_emptied()
  if not removed or #waiting > 0 then return false end
  local stamps = before and 1 or 0
  if call('HLEN', d) > stamps then return false end
  call('UNLINK', d)
  -- Ids that never expire may have nothing to live for any more.
  if expiry_of(path[#path]) == 0 then look_at(i[#i], millis(now()) + IDLE_MS) end
  return true
end

-- Until when the hash lives, by the TTL that is asked for and by what was put. Sets how long the ids
-- have to live as well. The second answer is whether entries end sooner than they would have.
local function next_end()
  local kind, time = 0, nil
  if before then kind, time = before.kind, before.time end
  local mode = sub(ARGV[5], 1, 1)
  if mode == 'R' or mode == 'S' and kind ~= TTL then
    local ttl = tonumber(sub(ARGV[5], 2))
    local is_sooner = before ~= nil and (kind ~= TTL or millis(now()) + ttl < time)
    needed = ttl
    return {kind = TTL, time = millis(now()) + ttl}, is_sooner
  end
  if needed == 0 then return {kind = kind, time = time}, false end
  if kind == TTL then
    local left = time - millis(now())
    needed = needed and math.min(needed, left) or left
  elseif not needed then
    kind, time = 0, nil
  elseif not before or kind == EXPIRES and time < millis(now()) + needed then
    -- A little more than is needed, so that few puts have to ask for more.
    kind, time = EXPIRES, millis(now()) + math.floor(needed * 1.25)
  end
  return {kind = kind, time = time}, false
end

-- Stores the stamp, in one call with the puts that wait where they fit; answers it.
local function store_stamp()
  local stamp, is_sooner = next_end()
  stamp.limited = limited or before ~= nil and before.limited
  stamp.alone = alone
  stamp.ring = before and before.ring or ''
  if not before or is_sooner then
    stamp.ring = add_change(stamp.ring, sub(ARGV[4], 1, 4) .. '\0\0\0\0')
  elseif changed then
    stamp.ring = add_change(stamp.ring, ARGV[4])
  end
  local joined = join_stamp(trees, stamp)
  if joined == raw then return raw end
  waiting[#waiting + 1] = ''
  waiting[#waiting + 1] = joined
  flush()
  if stamp.kind == 0 then
    if before and before.kind ~= 0 then call('PERSIST', d) end
  elseif not before or before.kind ~= stamp.kind or before.time ~= stamp.time then
    call('PEXPIREAT', d, time_arg(stamp.time))
  end
  return joined
end

-- Removes entries that are over, if chance finds some. One put in eight comes by here and looks at
-- sixteen, two for each put, so that at most about half of a hash is dead. Large ones are looked at one
-- at a time.
local function sweep()
  local few, room = {}, 65536
  for _, key in ipairs(call('HRANDFIELD', d, 16)) do
    if key ~= '' then
      room = room - call('HSTRLEN', d, key)
      if room < 0 and #few > 0 then break end
      few[#few + 1] = key
    end
  end
  for n, entry in ipairs(hmget(d, few)) do
    if entry and not freshness(entry, path, mark) then call('HDEL', d, few[n]) end
  end
end

if #voided > 0 and is_there then void_leases() end
local stamp = before and raw or false
if is_there and is_emptied() then
  stamp = false
elseif before or changed and is_there then
  stamp = store_stamp()
  if needed ~= 0 then
    local extended = extend_path(path, i, needed, #i)
    if before then relist(path, i, extended) end
    if not before or before.alone and not alone then
      for depth = #i - 1, ABOVE + 1, -1 do list_child(path, i, depth, ARGV[3], alone) end
    end
    if limited then sweep() end
  end
end

if not shows_entries and ARGV[6] ~= 'K' then return {count, outcomes} end
-- Ids that are shown have to be those of the region, even if it holds nothing.
if is_there and expiry_of(path[#path]) == NEW then extend_path(path, i, IDLE_MS, #i) end
-- Writing a key ends its tracking: reading it begins it again.
if ARGV[6] == 'K' then call('EXISTS', d, unpack(i_here)) end
local running = before and before.kind == TTL and before.time or 0
return {count, outcomes, now(), running, path, stamp}
