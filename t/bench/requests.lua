-- The requests of one wrk run, made ready before it starts so that wrk does little more than send them.
--
--   wrk … -s requests.lua URL -- METHOD PATH TOKENS OFFSET [BODIES]
--
-- TOKENS is a file of bearer tokens, used in turn from line OFFSET + 1 on and round again; BODIES a file of JSON
-- bodies, likewise. One line of figures comes last, for measure.pl.

local requests = {}
local size, at

local function lines(path)
    local all = {}
    for line in io.lines(path) do all[#all + 1] = line end
    return all
end

function init(args)
    local method, path, tokens, offset, bodies = args[1], args[2], lines(args[3]), tonumber(args[4]), args[5]
    if bodies then bodies = lines(bodies) end
    for index, token in ipairs(tokens) do
        local headers = {Host = wrk.host, Authorization = 'Bearer ' .. token}
        local body
        if bodies then
            body = bodies[(index - 1) % #bodies + 1]
            headers['Content-Type'] = 'application/json'
        end
        requests[index] = wrk.format(method, path, headers, body)
    end
    size = #requests
    at = offset % size
end

function request()
    at = at % size + 1
    return requests[at]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '\nFIGURES requests=%d microseconds=%d p50=%d p99=%d refused=%d broken=%d\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
        errors.connect + errors.read + errors.write + errors.timeout))
end
