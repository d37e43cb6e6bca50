-- Sees to it that the regions above an anchor exist, and live as long as what is put below it; and lists the anchor, which
-- lies in another slot, as a child of the last of them.
-- KEYS: the count of the client's writes, the i keys from the root down to the anchor's parent.
-- ARGV: the floor of the count, new ids, an id for tombstones, for how many milliseconds they are needed or '' for ever,
-- 'S'how the anchor | 'H'ide it | '' do not list it, '' or 'F'or a while, the anchor's last segment.
-- Answers the count, i values.
local FOREVER = 1.4e14     -- milliseconds: beyond all that is ever waited for, and within the six bytes of an expiry
local i = slice(KEYS, 2, #KEYS)
local needed = tonumber(ARGV[4])
local count = count_write(KEYS[1], ARGV[1])
local path = call('MGET', unpack(i))
if not exists(path) then draw_ids(path, ARGV[2]) end
relist(path, i, extend_path(path, i, needed))
if ARGV[5] ~= '' then
  local is_hidden = ARGV[5] == 'H'
  local segment = ARGV[7]
  -- Each time another score, by a part of a millisecond: whoever finds the anchor dead takes off what it has seen alone.
  local ends = needed and lifetime(needed, false) + now() % 1000 / 1000 or FOREVER + now() % 1e13
  if ARGV[6] == 'F' then
    -- It is not known yet whether anything is put there. A list of an earlier life is of no account.
    local c = sibling('c', i[#i])
    local is_present = list_stamp(c) == '.' .. trees_of(path, #i)
    local shown = is_present and call('ZSCORE', c, segment)
    local listed = shown or is_present and is_hidden and call('ZSCORE', c, HIDDEN .. segment)
    if listed and tonumber(listed) > ends then ends = nil end
  end
  if ends then list_segment(path, i, #i, ARGV[3], segment, ends, is_hidden) end
  for depth = #i - 1, 1, -1 do list_child(path, i, depth, ARGV[3], is_hidden) end
end
-- Writing a key ends its tracking: reading it begins it again.
call('MGET', unpack(i))
return {count, path}
