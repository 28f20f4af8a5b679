-- The compare-and-set of a contact record: compares before it writes anything, so a lost race leaves no trace.
-- One script rather than MULTI/EXEC: a comparison inside needs no second round trip and no WATCH.
--
-- KEYS[1] the record   KEYS[2] the event stream of its shard   KEYS[3] the outbox of the writer in that shard
-- ARGV[1] the head that the record must have (its version, a prefix-free code); empty: it must not exist
-- ARGV[2] the new record, head and all   ARGV[3] when the server may drop it, in ms of Unix time; empty: never
-- ARGV[4] the event   ARGV[5] the content of its audit entry
--
-- Won: the place of the event in its stream, an integer. Lost: the record that stands there, or nil.
local current = redis.call('GET', KEYS[1])
if current then
    if ARGV[1] == '' or string.sub(current, 1, #ARGV[1]) ~= ARGV[1] then
        return current
    end
elseif ARGV[1] ~= '' then
    return false
end
-- Nothing undoes what a script did before it failed. An access list may forbid SET alone: it is asked before the events.
if not redis.acl_check_cmd('SET', KEYS[1], '') then
    return redis.error_reply('NOPERM this user may not SET')
end
-- The record last: should anything above it fail, nothing was changed that a reader acts on.
local id = redis.call('XADD', KEYS[2], '0-*', 'e', ARGV[4])
redis.call('XADD', KEYS[3], id, 'e', ARGV[5])
if ARGV[3] == '' then
    redis.call('SET', KEYS[1], ARGV[2])
else
    redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
end
return tonumber(string.sub(id, 3))
