-- Offers, takes and gives back pieces of work, by Redis' own clock (shared/need.py says what the keys hold).
-- KEYS  farm:open · farm:jobs · farm:leases · farm:owners · farm:spent, and by name need:<plan>
-- ARGV  the verb, then what it takes
local open, jobs, leases, owners, spent = unpack(KEYS)
local clock = redis.call('TIME')
local now, CLASS = clock[1] * 1000 + math.floor(clock[2] / 1000), 1e13
local verbs = {}

local function back(work)  -- gives a chunk back at the place it had, unless its plan was withdrawn
  local plan, chunk = work:match('^(%S+) (%S+)$')
  local score = (redis.call('HGET', owners, work) or ''):match('(%S+)$')
  redis.call('ZREM', leases, work)
  redis.call('HDEL', owners, work)
  if score and redis.call('HEXISTS', jobs, plan) == 1 then redis.call('ZADD', 'need:' .. plan, 'GT', score, chunk) end
end

function verbs.reclaim()
  local dead = redis.call('ZRANGEBYSCORE', leases, '-inf', now)
  for _, work in ipairs(dead) do back(work) end
  return dead
end

-- plan, "<queue> <seller> <memory> <media_s a piece>", queued at (ms), then chunk, score, ...; a raised need stays so
function verbs.offer(plan, line, at, ...)
  local wanted, added = {...}, 0
  redis.call('HSET', jobs, plan, line)
  redis.call('ZADD', open, 'NX', at, plan)
  for i = 1, #wanted, 2 do
    if not redis.call('ZSCORE', leases, plan .. ' ' .. wanted[i]) then
      added = added + redis.call('ZADD', 'need:' .. plan, 'GT', wanted[i + 1], wanted[i])
    end
  end
  return added
end

-- The best of `best` and what these plans wait with: highest class, then the seller served least.
local function better(best, plans, worker, served)
  for _, plan in ipairs(plans) do
    local top = redis.call('ZREVRANGE', 'need:' .. plan, 0, 0, 'WITHSCORES')
    local score = tonumber(top[2] or 0)
    local class = math.floor(score / CLASS)
    if top[1] and not (best and class < best.class) and not worker.without:find(',' .. plan .. ',', 1, true) then
      local queue, seller, least, media_s = (redis.call('HGET', jobs, plan) or ''):match('^(%S+) (%S+) (%S+) (%S+)$')
      if queue and worker.queues:find(',' .. queue .. ',', 1, true) and tonumber(least) <= worker.memory then
        local start = math.max(served, tonumber(redis.call('HGET', spent, seller) or 0))
        if not best or class > best.class or start < best.start
            or (start == best.start and class == 3 and score > best.score) then
          best = {work = plan .. ' ' .. top[1], plan = plan, chunk = top[1], text = top[2], score = score,
                  class = class, start = start, seller = seller, media_s = tonumber(media_s)}
        end
      end
    end
  end
  return best
end

-- owner, ",queue,queue,", memory bytes, lease ms, ",plan,plan," of which it wants none → "<plan> <chunk>"; nothing for a
-- worker that is to rest or to leave. The 4096 plans that were queued first are looked at, those behind them where none
-- of these is for this worker.
function verbs.take(owner, queues, memory, ms, without)
  verbs.reclaim()
  if redis.call('EXISTS', 'farm:cordon:' .. owner:match('^[^/]*')) == 1 then return false end
  local worker = {queues = queues, memory = tonumber(memory), without = without}
  local best, from, served = nil, 0, tonumber(redis.call('HGET', spent, '') or 0)
  repeat
    local plans = redis.call('ZRANGE', open, from, from + 4095)
    best, from = better(best, plans, worker, served), from + 4096
  until best or #plans < 4096
  if not best then return false end
  redis.call('ZREM', 'need:' .. best.plan, best.chunk)
  redis.call('ZADD', leases, now + ms, best.work)
  redis.call('HSET', owners, best.work, owner .. ' ' .. best.text)
  redis.call('HSET', spent, '', best.start, best.seller, best.start + best.media_s)
  return best.work
end

-- owner, work, ms → 1 while it is the owner's; one that ended and nobody took is the owner's again
function verbs.renew(owner, work, ms)
  local plan, chunk = work:match('^(%S+) (%S+)$')
  local held = redis.call('HGET', owners, work)
  if held and held:match('^%S+') ~= owner then return 0 end
  local score = held and held:match('(%S+)$') or redis.call('ZSCORE', 'need:' .. plan, chunk) or tostring(CLASS)
  redis.call('ZREM', 'need:' .. plan, chunk)
  redis.call('ZADD', leases, now + ms, work)
  redis.call('HSET', owners, work, owner .. ' ' .. score)
  return 1
end

-- owner, work, "done" | "back"
function verbs.release(owner, work, how)
  if (redis.call('HGET', owners, work) or ''):match('^%S+') ~= owner then return 0 end
  if how == 'back' then back(work) else redis.call('ZREM', leases, work) redis.call('HDEL', owners, work) end
  return 1
end

-- plan; and forgets sellers who got no more than the one that was served last: they are as those that never got any
function verbs.withdraw(plan)
  local found, served = redis.call('HGETALL', spent), tonumber(redis.call('HGET', spent, '') or 0)
  for i = 1, #found, 2 do
    if found[i] ~= '' and tonumber(found[i + 1]) <= served then redis.call('HDEL', spent, found[i]) end
  end
  redis.call('ZREM', open, plan)
  redis.call('HDEL', jobs, plan)
  return redis.call('DEL', 'need:' .. plan, 'farm:work:' .. plan)
end

-- key, value: forgets a key that still holds this
function verbs.forget(key, value)
  return redis.call('GET', key) == value and redis.call('DEL', key) or 0
end

return verbs[ARGV[1]](unpack(ARGV, 2))
