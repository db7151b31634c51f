-- Requests of one wrk run: the lines of a file of paths, round robin, each thread from a place of its own.
-- Arguments after `--`: the file, the line to begin with, and `forge` to spoil each token's signature anew.
-- Threads start apart; `done` writes one line of JSON, which benchmarks/wrk.py reads.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local texts, heads, tails = {}, {}, {}
local at, forged, spoiling = 0, 0, false

local function text(path)
  return "GET " .. path .. " HTTP/1.1\r\nHost: bench\r\n\r\n"
end

function init(args)
  local first = tonumber(args[2])
  spoiling = args[3] == "forge"
  for path in io.lines(args[1]) do
    texts[#texts + 1] = text(path)
    if spoiling then
      -- The first ten characters of the signature give way to a number that no other request has.
      local head, signature, rest = path:match("^(/t/[^./]+%.[^./]+%.)([^./]+)(/.*)$")
      heads[#texts] = "GET " .. head
      tails[#texts] = signature:sub(11) .. rest .. " HTTP/1.1\r\nHost: bench\r\n\r\n"
    end
  end
  at = (first + number * 7919) % #texts
  forged = first + number * 100000000
end

function request()
  at = at % #texts + 1
  if not spoiling then
    return texts[at]
  end
  forged = forged + 1
  return heads[at] .. string.format("%010d", forged) .. tails[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "bytes": %.0f, "duration_s": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "status": %d, "broken": %d}\n',
    summary.requests, summary.bytes, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
