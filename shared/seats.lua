-- Takes, renews or refuses the seat of one session, by Redis' own clock.
-- KEYS  seat:{sub} zset sid -> end of lease · sess:{sub} hash sid -> session · gone:{sub} hash sid -> reason
-- ARGV  sid · cap · lease seconds · policy · may start (1/0) · hmx · device · place · title · push channel
-- Gives {"seated", 1 if it started now, place} · {"gone", reason} · {"late"} · {"full", [sid, lease end, session]...}
local seat, sess, gone = KEYS[1], KEYS[2], KEYS[3]
local sid, cap, lease, policy = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local may_start, hmx = ARGV[5] == '1', tonumber(ARGV[6])

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local function keep_until(key, at)
  local left = redis.call('TTL', key)
  if left < 0 or left < at - now then redis.call('EXPIREAT', key, math.ceil(at)) end
end

local function sweep()
  if redis.call('HLEN', sess) <= 64 then return end
  local all = redis.call('HGETALL', sess)
  for i = 1, #all, 2 do
    if cjson.decode(all[i + 1]).hmx < now then redis.call('HDEL', sess, all[i]) end
  end
end

local function seated()
  local list = {}
  local pairs_ = redis.call('ZRANGE', seat, 0, -1, 'WITHSCORES')
  for i = 1, #pairs_, 2 do
    local kept = redis.call('HGET', sess, pairs_[i]) or '{}'
    list[#list + 1] = { pairs_[i], pairs_[i + 1], kept }
  end
  return list
end

local function take_over_oldest()
  local oldest, since
  for _, one in ipairs(seated()) do
    local at = cjson.decode(one[3]).since or 0
    if not oldest or at < since then oldest, since = one, at end
  end
  local victim = oldest[1]
  local ends = math.ceil(cjson.decode(oldest[3]).hmx or hmx)
  redis.call('ZREM', seat, victim)
  redis.call('HSET', gone, victim, 'taken-over')
  keep_until(gone, ends)
  redis.call('PUBLISH', ARGV[10], cjson.encode({ kind = 'sid', key = victim, iat = ends, reason = 'taken-over' }))
end

local reason = redis.call('HGET', gone, sid)
if reason then return { 'gone', reason } end

redis.call('ZREMRANGEBYSCORE', seat, '-inf', string.format('%.6f', now))
local until_ = string.format('%.6f', now + lease)
local kept = redis.call('HGET', sess, sid)
local session = kept and cjson.decode(kept)

if redis.call('ZSCORE', seat, sid) and session then
  if hmx > session.hmx then
    session.hmx = hmx
    redis.call('HSET', sess, sid, cjson.encode(session))
    keep_until(sess, hmx)
  end
  redis.call('ZADD', seat, until_, sid)
  redis.call('EXPIREAT', seat, math.ceil(now + lease) + 1)
  return { 'seated', 0, session.place }
end

redis.call('ZREM', seat, sid)
if not session and not may_start then return { 'late' } end
if policy == 'takeover_oldest' then
  while redis.call('ZCARD', seat) >= cap do take_over_oldest() end
elseif redis.call('ZCARD', seat) >= cap then
  return { 'full', seated() }
end

sweep()
local first = not session
session = session or { d = ARGV[7], place = ARGV[8], title = ARGV[9], started = now }
session.since = now
session.hmx = math.max(session.hmx or 0, hmx)
redis.call('HSET', sess, sid, cjson.encode(session))
keep_until(sess, session.hmx)
redis.call('ZADD', seat, until_, sid)
redis.call('EXPIREAT', seat, math.ceil(now + lease) + 1)
return { 'seated', first and 1 or 0, session.place }
