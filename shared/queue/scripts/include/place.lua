-- place: where a job waits that has no state yet, or the state W. Needs the
-- locals call and base.
--
-- A set and its score there: when it is due, or since when it is blocked; or
-- 'ready', which stands for a list.
local function place_of(entry)
    for _, set in ipairs({'due', 'retrying', 'blocked'}) do
        local at = call('ZSCORE', base .. set, entry)
        if at then
            return set, at
        end
    end
    return 'ready'
end
