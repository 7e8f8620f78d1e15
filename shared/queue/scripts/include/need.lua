-- need: a command on a key, whose first word says of what type that has to be:
-- of another one, the script ends with an error that names the key. All that a
-- script may write is read so before its first write: a wrong type changes
-- nothing then.
local function need(command, key, ...)
    local reply = redis.pcall(command, key, ...)
    if type(reply) == 'table' and reply.err then
        if string.find(reply.err, 'WRONGTYPE', 1, true) == 1 then
            local types = {H = 'hash', Z = 'sorted set', L = 'list',
                           X = 'stream', G = 'string', R = 'list'}
            reply = {err = 'WRONGTYPE ' .. key .. ' is no ' ..
                (types[string.sub(command, 1, 1)] or 'key of the queue') ..
                ': another program wrote it; rename or delete it'}
        end
        error(reply)
    end
    return reply
end
