-- The compare-and-set of a named value.
--
-- KEYS[1] the hash of named values
-- ARGV[1] the name   ARGV[2] the head that the value must have; empty: it must not exist   ARGV[3] the new value
--
-- Won: 1. Lost: the value that stands there, or nil.
local current = redis.call('HGET', KEYS[1], ARGV[1])
if current then
    if ARGV[2] == '' or string.sub(current, 1, #ARGV[2]) ~= ARGV[2] then
        return current
    end
elseif ARGV[2] ~= '' then
    return false
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
