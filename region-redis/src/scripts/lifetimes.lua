-- How long keys live.

-- A region is born with its ids and this lifetime, in milliseconds, until a put asks for more.
local BIRTH_MS = 60000
-- `i` keys are given more than is needed, so that few puts have to extend them: an extension is a
-- push to every client that tracks the key.
local IDS_MARGIN = 2
-- Entries' hashes likewise, but they hold memory.
local ENTRIES_MARGIN = 1.25

-- Gives the ids to those of a path that have none. They live as long as the region's own, for what
-- lies below may have been promised that.
local function give_birth(path, i, ids)
  local left = is_born(path[#path]) and call('PTTL', i[#i]) or BIRTH_MS
  for depth = 1, #i do
    if not is_born(path[depth]) then
      path[depth] = sub(ids, (depth - 1) * IDS + 1, depth * IDS)
      if left == -1 then
        call('SET', i[depth], path[depth])
      else
        call('SET', i[depth], path[depth], 'PX', math.max(left, BIRTH_MS))
      end
    end
  end
end

-- Sees to it that `key` lives for `needed` milliseconds; for ever if that is nil.
local function extend(key, needed, margin)
  local left = call('PTTL', key)
  if left == -1 then return end
  if not needed then
    call('PERSIST', key)
  elseif left < needed then
    call('PEXPIRE', key, string.format('%.0f', needed * margin))
  end
end

-- Sees to it that the ids along a path, and the lists of children on it, live as long as an entry.
-- Ancestors are never given less than what lies below them: so looking at the last one is enough.
local function extend_path(i, c, needed)
  local left = call('PTTL', i[#i])
  if left == -1 or needed and left >= needed then return end
  for depth = 1, #i do extend(i[depth], needed, IDS_MARGIN) end
  for depth = 1, #c do extend(c[depth], needed, IDS_MARGIN) end
end

