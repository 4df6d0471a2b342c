-- Replays a file of whole requests, separated by NUL, one after the other. Where a request holds \1 a number that never
-- comes again stands instead. PAUSE: milliseconds before each request. Prints one line of JSON.
local parts, count, at, unique = {}, 0, 0, 0

function init(args)
  local file = io.open(os.getenv("REQUESTS"), "rb")
  local text = file:read("*a")
  file:close()
  unique = tonumber(os.getenv("UNIQUE")) or 0
  for request in text:gmatch("[^%z]+") do
    count = count + 1
    local before, after = request:match("^(.-)\1(.*)$")
    parts[count] = before and { before, after } or request
  end
  -- Every slice begins elsewhere.
  at = unique % count
end

function request()
  at = at % count + 1
  local part = parts[at]
  if type(part) == "string" then return part end
  unique = unique + 1
  return part[1] .. string.format("%012d", unique) .. part[2]
end

if os.getenv("PAUSE") then
  local pause = tonumber(os.getenv("PAUSE"))
  function delay() return pause end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"failed":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
