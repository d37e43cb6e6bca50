-- Applies operations in order, if the guard holds.
-- KEYS: d, l, the count of the client's writes, the i keys from the root down.
-- ARGV: the floor of the count, ids for births, the region's path, an id for a grave, timeout ('L'eave | 'S'tart and
-- milliseconds | 'R'estart and milliseconds), the number of guarded keys or '' without a guard; with
-- one: its life, its mark, its token, those keys; then operations:
--   'P'ut | put if a'B'sent, key, fresh ms or '', stale ms, bytes
--   put if absent or 'H'olding, key, fresh ms or '', stale ms, bytes, bytes held
--   'R'emove | 'T'ake, key
-- Answers false if fenced; else count, outcomes and, if an entry is among these: time, when the
-- timeout is over that ran before or 0, i values. An outcome is, of a put 1 or the entry in its way;
-- of a removal 1 or 0; of a take the entry or 0.
local d, l = KEYS[1], KEYS[2]
local i = slice(KEYS, 4, #KEYS)
local at = 7

local count = count_write(KEYS[3], ARGV[1])
local path = call('MGET', unpack(i))
local born = all_born(path)
local life, mark

local function know_lineage()
  life, mark = life_of(path), mark_of(path)
end

if born then know_lineage() end

local function guard_holds(keys)
  if not born or life ~= ARGV[7] or mark ~= ARGV[8] then return false end
  if keys == 0 then return true end
  local fields = slice(ARGV, 9, 9 + keys)
  fields[1] = ''
  local held = hmget(l, fields)
  if held[1] ~= life .. mark then return false end
  for n = 1, keys do
    local lease = held[n + 1]
    if lease_left(lease) == 0 or sub(lease, 1, 8) ~= ARGV[9] then return false end
  end
  return true
end

if ARGV[6] ~= '' then
  local keys = tonumber(ARGV[6])
  if not guard_holds(keys) then return false end
  at = 10 + keys
end

local stamp = stamp_of(d)
-- What the stamp says besides the life: nothing, or 1 and when the key expires, or 2 and when the
-- region's timeout is over.
local alive, kind, till = false, nil, nil
if born then alive, kind, till = read_stamp(stamp, life) end
if stamp and not alive then call('UNLINK', d) end
if not alive then kind, till = nil, nil end
local was_alive, running = alive, kind == 2 and till or 0

local needed = 0       -- milliseconds that the longest entry lives; nil: for ever
local limited = false  -- whether an entry with an end was put
local removed = false
local outcomes, voided, waiting = {}, {}, {}
local shows_entries = false

-- Stores the puts that have been waiting, in one call where they fit.
local function flush()
  if #waiting == 0 then return end
  if not alive then
    waiting[#waiting + 1] = ''
    waiting[#waiting + 1] = life
    alive = true
  end
  for from = 1, #waiting, CHUNK do
    call('HSET', d, unpack(waiting, from, math.min(from + CHUNK - 1, #waiting)))
  end
  waiting = {}
end

local function current(key)
  flush()
  local entry = alive and call('HGET', d, key)
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
  if not born then
    give_birth(path, i, ARGV[2])
    know_lineage()
    born = true
  end
  waiting[#waiting + 1] = key
  waiting[#waiting + 1] = stamped(bytes, fresh, stale)
  if fresh == '' then
    needed = nil
  else
    limited = true
    if needed then needed = math.max(needed, fresh + stale) end
  end
  voided[#voided + 1] = key
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
  if alive and call('HDEL', d, key) == 1 then removed = true end
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

-- Sets until when the hash lives, by the timeout that is asked for and by what was put.
local function set_end()
  local mode = sub(ARGV[5], 1, 1)
  if mode == 'R' or mode == 'S' and kind ~= 2 then
    kind, till = 2, millis(now()) + sub(ARGV[5], 2)
  elseif kind == 2 or needed == 0 then
    return
  elseif not needed then
    if was_alive and kind == nil then return end
    kind, till = nil, nil
    if was_alive then call('PERSIST', d) end
  elseif was_alive and (kind == nil or till >= millis(now()) + needed) then
    return
  else
    -- A little more than is needed, so that few puts have to ask for more.
    kind, till = 1, millis(now()) + math.floor(needed * 1.25)
  end
  waiting[#waiting + 1] = ''
  waiting[#waiting + 1] = kind and life .. struct.pack('>I1I6', kind, till) or life
  alive = true
  flush()
  if kind then call('PEXPIREAT', d, string.format('%.0f', till)) end
end

-- Makes the region a child of its parent, and so on up to the root.
local function register()
  local segments = {}
  for segment in string.gmatch(ARGV[3], '[^.]+') do segments[#segments + 1] = segment end
  for depth = #i - 1, 1, -1 do
    local c, trees, segment = children_of(i[depth]), trees_of(path, depth), segments[depth + 1]
    local found = hmget(c, {'', segment})
    if found[1] ~= trees then
      bury(i[depth], ARGV[4] .. depth, concat(segments, '.', 1, depth))
      call('HSET', c, '', trees, segment, '')
      local expiry = expiry_of(path[depth])
      if expiry ~= 0 then call('PEXPIREAT', c, string.format('%.0f', expiry)) end
    elseif not found[2] then
      call('HSET', c, segment, '')
    end
  end
end

-- Removes entries that are over, if chance finds some. One put in eight comes by here and looks at
-- sixteen, two for each put, so that at most about half of a hash is dead.
local function sweep()
  local keys = call('HRANDFIELD', d, 16)
  for n, entry in ipairs(hmget(d, keys)) do
    if keys[n] ~= '' and entry and not freshness(entry, path, mark) then call('HDEL', d, keys[n]) end
  end
end

if #voided > 0 and born then
  local gone = 0
  for from = 1, #voided, CHUNK do
    local found = redis.pcall('HDEL', l, unpack(voided, from, math.min(from + CHUNK - 1, #voided)))
    if is_of_other_type(found, l) then break end
    gone = gone + found
  end
  if gone > 0 and call('HLEN', l) <= 1 then call('UNLINK', l) end
end
if removed and #waiting == 0 and call('HLEN', d) == 1 then
  call('UNLINK', d)
elseif alive or #waiting > 0 then
  set_end()
  flush()
  if needed ~= 0 then
    if not was_alive then register() end
    if kind == 2 then
      local left = till - millis(now())
      needed = needed and math.min(needed, left) or left
    end
    extend_path(path, i, needed)
    if limited then sweep() end
  end
end

if not shows_entries then return {count, outcomes} end
return {count, outcomes, now(), running, path}
