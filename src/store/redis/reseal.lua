-- Other bytes for a record that still is exactly as it was found: the same content sealed under another key. No event and
-- no new version: nothing was said anew. What expires does so when it would have.
--
-- KEYS[1] the record
-- ARGV[1] the record as it was found, head and all   ARGV[2] the new one, with the same head
--
-- Done: 1. Not done: nil, the record is another one.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return false
end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
