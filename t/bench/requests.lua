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

-- LuaJIT files a string under a hash of four bytes each at its start, quarter, middle and end. The middle is therefore
-- put into the token's random part, or 200,000 requests would be one long chain of collisions.
local function request_of(method, path, token, body)
    local head = string.format('%s %s HTTP/1.1\r\nAuthorization: Bearer ', method, path)
    local tail = string.format('\r\nHost: %s:%s\r\n', wrk.host, wrk.port)
    if body then tail = tail .. string.format('Content-Type: application/json\r\nContent-Length: %d\r\n', #body) end
    tail = tail .. '\r\n' .. (body or '')
    local agent = 'User-Agent: '
    local missing = #head + #token - #tail - #agent - 2 - 48   -- 48: the random part
    return head .. token .. '\r\n' .. agent .. string.rep('w', math.max(missing, 3)) .. tail
end

function init(args)
    local method, path, tokens, offset, bodies = args[1], args[2], lines(args[3]), tonumber(args[4]), args[5]
    if bodies then bodies = lines(bodies) end
    for index, token in ipairs(tokens) do
        requests[index] = request_of(method, path, token, bodies and bodies[(index - 1) % #bodies + 1])
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
