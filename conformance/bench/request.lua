-- One fixed request, from files: what the signer made once is sent over and over. With BENCH_KEYS each request has a key
-- of its own: in place of every @KEY@ of its body, or where there is none at the end of its path. With BENCH_AT_MOST a thread
-- makes no more keys than that and ends when so many are answered.
local folder, keys = os.getenv("BENCH_REQUEST"), os.getenv("BENCH_KEYS")
local at_most = tonumber(os.getenv("BENCH_AT_MOST") or "")
local function read(name)
  local file = io.open(folder .. "/" .. name, "rb")
  if not file then return nil end
  local content = file:read("*a")
  file:close()
  return content
end

wrk.method, wrk.path, wrk.body = read("method"), read("path"), read("body")
for line in read("headers"):gmatch("[^\n]+") do
  local name, value = line:match("^([^:]+): (.*)$")
  wrk.headers[name] = value
end

local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local made, count = nil, 0
function request()
  if keys then
    -- Those on their way when the last is answered repeat the last key.
    if not at_most or count < at_most then count = count + 1 end
    if wrk.body and wrk.body:find("@KEY@", 1, true) then
      local body = wrk.body:gsub("@KEY@", string.format("%s-%d-%09d", keys, number, count))
      return wrk.format(wrk.method, wrk.path, wrk.headers, body)
    end
    return wrk.format(wrk.method, string.format("%s%s-%d-%09d", wrk.path, keys, number, count), wrk.headers, wrk.body)
  end
  made = made or wrk.format(wrk.method, wrk.path, wrk.headers, wrk.body)
  return made
end

-- Answers are looked at only where they are counted: it costs wrk time.
if at_most then
  local answered = 0
  function response()
    answered = answered + 1
    if answered >= at_most then wrk.thread:stop() end
  end
end

-- Failures are told, so that fast refusals are not taken for speed.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\nRESULT {"requests": %d, "us": %d, "p50_us": %d, "p99_us": %d, "failed": %d}\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
