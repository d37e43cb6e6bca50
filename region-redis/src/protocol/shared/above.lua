-- The regions above the anchor, whose ids lie in another slot: the caller claims them, as it has read them there. Then
-- the last key is the record of the claim that was accepted last in this slot. The last two arguments are the claim, the
-- contents of each `i` key after a byte with its length, and the record that the caller had seen before it read these.
local ABOVE, claimed, check_claim, accept_claim = 0, {}, nil, nil
if string.byte(KEYS[#KEYS], 5) == 97 then
  local RECORD_MS = 3600000  -- longer than a claim can be on its way
  local record = table.remove(KEYS)
  local seen, claim = table.remove(ARGV), table.remove(ARGV)
  local trees, at = {}, 1
  while at <= #claim do
    local len = string.byte(claim, at)
    ABOVE = ABOVE + 1
    claimed[ABOVE] = string.sub(claim, at + 1, at + len)
    trees[ABOVE] = string.sub(claim, at + 1, at + math.min(len, 8))
    at = at + 1 + len
  end
  trees = table.concat(trees)

  local present

  -- Refuses a claim that may be older than that of the record: one of others, unless it was read after the record was.
  -- A script that counts asks before it does: its error says nothing of the count.
  check_claim = function()
    present = redis.pcall('GET', record)
    if type(present) == 'string' and present ~= trees and present ~= seen then
      local hex = string.gsub(present, '.', function(c) return string.format('%02x', string.byte(c)) end)
      error({err = 'REGIONABOVE ' .. hex})
    end
  end

  -- Makes the claim, once it has been checked, the one that was accepted last.
  accept_claim = function()
    if present == trees then return end
    if trees == '' then
      -- The regions do not exist: whoever creates them anew is the next to be accepted.
      redis.call('DEL', record)
    else
      redis.call('SET', record, trees, 'PX', RECORD_MS)
    end
  end
end
