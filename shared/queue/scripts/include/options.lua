-- options: what a record asks for. Only one with the flag '+' has options that
-- the scripts look at. Needs the locals sub and match.

-- letter -> value. They stand behind the task's name.
local function options_of(record)
    local found = {}
    local head = sub(record, 1, (string.find(record, '\n', 1, true) or 0) - 1)
    local _, task = string.find(head, '^%S+ %S+ %S+')
    for letter, value in string.gmatch(sub(head, (task or #head) + 1),
                                       ' (%a)(%S*)') do
        found[letter] = value
    end
    return found
end

-- concurrency, rate, its period in ms, key; nil without a limit.
local function limit_of(options)
    local concurrency, rate, period, key =
        match(options.l or '', '^(%d+),(%d+),(%d+),(.*)$')
    return tonumber(concurrency), tonumber(rate), tonumber(period), key
end

-- The key of its limit alone.
local function limit_key_of(options)
    return options.l and match(options.l, '^%d+,%d+,%d+,(.*)$')
end

-- while, ttl in ms as text, key; nil when it is not unique.
local function unique_of(options)
    if options.u then
        return match(options.u, '^(%a),(%d+),(.*)$')
    end
end
