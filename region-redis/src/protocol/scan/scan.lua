-- Lists or counts a region's entries, a page at a time. A page is bounded by bytes as well as by
-- entries: what they take on the average is asked of a sample, without reading it.
-- KEYS: d, the i keys from the root down, the count of the client's writes if it matters.
-- ARGV: how many i keys, cursor, about how many to look at, about how many bytes, 'L'ength | 'K'eys | 'E'ntries.
-- Answers: i values and the count, time, stamp or false, the next cursor or '0', and the page: how
-- many are fresh, or each key with the beginning of its entry or all of it.
local SAMPLE = 8
local HEAD = 28        -- at least as long as what stands before an entry's bytes
local OVERHEAD = 64    -- bytes that an entry takes besides its own
local MARKER = '\0marker'  -- the key of an entry of the library, which is neither listed nor counted
local d, depth, limit, mode = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[3]), ARGV[5]
local values = call('MGET', unpack(KEYS, 2))
local path = slice(values, 1, depth)
for n = ABOVE, 1, -1 do table.insert(path, 1, claimed[n]) end
depth = #path
local raw = exists(path) and stamp_of(d)
local stamp = raw and valid_stamp(raw, trees_of(path, depth))
if not stamp then return {values, now(), false, '0', mode == 'L' and 0 or {}} end
local mark = mark_of(path)

-- Where no entry has an end and nothing has expired all are fresh.
if mode == 'L' and not stamp.limited and mark == '' then
  return {values, now(), raw, '0', call('HLEN', d) - 1 - call('HEXISTS', d, MARKER)}
end

local function page_size()
  local keys, bytes = call('HRANDFIELD', d, SAMPLE), 0
  for _, key in ipairs(keys) do bytes = bytes + #key + call('HSTRLEN', d, key) + OVERHEAD end
  return math.max(1, math.min(limit, math.floor(tonumber(ARGV[4]) * #keys / bytes)))
end

local page = call('HSCAN', d, ARGV[2], 'COUNT', page_size())
local next_cursor, found = page[1], page[2]
local fresh, items = 0, {}
for at = 1, #found, 2 do
  local key, entry = found[at], found[at + 1]
  if key == '' or key == MARKER then
    -- The stamp, or the marker.
  elseif mode == 'L' then
    if freshness(entry, path, mark) == 'fresh' then fresh = fresh + 1 end
  else
    items[#items + 1] = key
    items[#items + 1] = mode == 'K' and sub(entry, 1, HEAD) or entry
  end
end
return {values, now(), raw, next_cursor, mode == 'L' and fresh or items}
