-- How long keys live. An `i` key holds when it expires, so that a put need not ask; zero: never.
local HOUR = 3600000
-- When ids that are not stored yet expire.
local NEW = 1

-- Until when an `i` key lives that is given what an entry needs, in milliseconds; `needed` is nil for
-- an entry without an end. More than is needed, for rewriting the key is a push to every client that
-- tracks it, for all regions below: so ancestors are rewritten once an hour at most by entries that
-- live for less than that, from the second time on. Of most that are new it is the last time.
local function lifetime(needed, is_brief)
  if not needed then return 0 end
  return millis(now()) + (is_brief and 2 * needed or math.max(2 * needed, needed + HOUR))
end

-- Stores a region's ids with another expiry.
local function store_ids(key, ids, expiry)
  local value = sub(ids, 1, 12) .. struct.pack('>I6', expiry) .. sub(ids, IDS + 1)
  if expiry == 0 then
    call('SET', key, value)
  else
    call('SET', key, value, 'PXAT', time_arg(expiry))
  end
  return value
end

-- Gives ids to those of a path that do not exist. They are not stored yet: `extend_path` does that. A root has the
-- mark of its anchors in the place of its parent's `tree`: the last four bytes of `ids`.
local function draw_ids(path, ids)
  local parent = sub(ids, -4)
  for depth = 1, #path do
    if not exists_at(path, depth) then
      path[depth] = sub(ids, (depth - 1) * 8 + 1, depth * 8) .. parent .. struct.pack('>I6', NEW)
    end
    parent = sub(path[depth], 1, 4)
  end
end

-- Sees to it that the ids along a path, those in this slot, live as long as an entry does of the region that is `own`
-- deep: for so many milliseconds, for ever if that is nil. Answers the depths whose expiry has changed.
local function extend_path(path, i, needed, own)
  local changed = {}
  for depth = 1, #i do
    local present = i[depth] and expiry_of(path[depth])
    if present and present ~= 0 and not (needed and present >= millis(now()) + needed) then
      local is_brief = depth == own or present == NEW
      path[depth] = store_ids(i[depth], path[depth], lifetime(needed, is_brief))
      changed[#changed + 1] = depth
    end
  end
  return changed
end
