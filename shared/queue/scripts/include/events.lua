-- events: says changes of state to who listens: @lines, each with its end.
-- Needs the locals call and base.
local function tell_listeners(lines)
    call('XADD', base .. 'events', 'MAXLEN', '~', '1000', '*', 'e', lines)
end
