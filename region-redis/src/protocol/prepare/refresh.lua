#!lua flags=allow-oom
-- Keeps a connection's count of writes, and retires those that nobody keeps any more.
-- KEYS: the list of counts, the count, the counts to retire if they are overdue.
-- ARGV: for how many milliseconds the count is kept unless it is refreshed.
-- Answers zero if the count is lost, and otherwise the counts that are still overdue.
local list, key = KEYS[1], KEYS[2]
if call('EXISTS', key) == 0 then return 0 end
keep(list, key, ARGV[1])
for at = 3, #KEYS do
  local due = call('ZSCORE', list, KEYS[at])
  if due and tonumber(due) <= now() then retire(list, KEYS[at]) end
end
return overdue(list)
