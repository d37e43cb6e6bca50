-- The stamp of a hash of entries: trees, flags, the change ring, and a time.
local EXPIRES = 1      -- the hash expires at the time
local TTL = 2          -- the region's TTL is over at the time
local LIMITED = 4      -- an entry with an end has been put
local ALONE = 8        -- no entry but the marker has been put
local CHANGE = 8       -- a change: its id, and the hash of the key or zeros for all keys
local RING = 8 * CHANGE

-- Reads a stamp; nothing if it is of other trees, or not one.
local function split_stamp(stamp, trees)
  if not stamp or string.sub(stamp, 1, #trees) ~= trees then return nil end
  local flags, ends = string.byte(stamp, #trees + 1), #stamp
  if not flags or flags > 14 or flags % 4 == 3 then return nil end
  if flags % 4 ~= 0 then ends = ends - 6 end
  local ring = ends - #trees - 1
  if ring < CHANGE or ring > RING or ring % CHANGE ~= 0 then return nil end
  local time = flags % 4 ~= 0 and struct.unpack('>I6', stamp, ends + 1) or nil
  return {
    kind = flags % 4,
    limited = flags % ALONE >= LIMITED,
    alone = flags >= ALONE,
    ring = string.sub(stamp, #trees + 2, ends),
    time = time,
  }
end

local function join_stamp(trees, stamp)
  local flags = stamp.kind + (stamp.limited and LIMITED or 0)
  local time = stamp.kind == 0 and '' or struct.pack('>I6', stamp.time)
  if stamp.alone then flags = flags + ALONE end
  return trees .. string.char(flags) .. stamp.ring .. time
end

-- Adds a change to a ring; the oldest leaves a full one.
local function add_change(ring, change)
  return string.sub(ring .. change, -RING)
end
