-- What was played: sessions, how much of a title each viewer was sent, and what was ended before its time.

-- How strictly links to a title hold to device and place; null: as the installation says.
alter table title add column binding text check (binding in ('off', 'soft', 'hard'));

-- A session that was given a link. `device` is what the player called itself.
create table screening (
    sid        text primary key,
    principal  text not null references principal on delete cascade,
    title      text not null references title,
    device     text not null default '',
    created_at timestamptz not null,
    ends_at    timestamptz not null
);
create index screening_principal on screening (principal, created_at);
create index screening_end on screening (ends_at);

-- Links minted up to `iat` (seconds since 1970) for a title, a viewer or a session are over. Redis holds a copy.
create table revocation (
    kind   text not null check (kind in ('title', 'sub', 'sid')),
    key    text not null,
    iat    bigint not null,
    reason text not null default '',
    at     timestamptz not null default now(),
    primary key (kind, key)
);
create index revocation_at on revocation (at);

-- Where the segments of a version end, in milliseconds from its start; of its sound for a title without picture.
create table timeline (
    version text primary key,
    title   text not null references title,
    sound   boolean not null,
    ends_ms integer[] not null
);

-- Which segments of a version a viewer was ever sent: bit n is segment n, the least significant bit first.
create table watched_segments (
    principal  text not null references principal on delete cascade,
    title      text not null references title,
    version    text not null,
    picture    bytea not null default '',
    sound      bytea not null default '',
    updated_at timestamptz not null default now(),
    primary key (principal, title, version)
);

-- How long the segments last that were new to a viewer on a day (UTC).
create table watched_day (
    principal  text not null references principal on delete cascade,
    title      text not null references title,
    day        date not null,
    watched_ms bigint not null check (watched_ms >= 0),
    primary key (principal, title, day)
);
create index watched_day_viewer on watched_day (principal, day);
create index watched_day_title on watched_day (title, day) include (watched_ms);

-- The same of viewers whose account is no more: sums alone.
create table watched_by_nobody (
    title      text not null references title,
    day        date not null,
    watched_ms bigint not null check (watched_ms >= 0),
    primary key (title, day)
);

-- Where a viewer is in a title. `first_at` is the first media an edge sent.
create table watching (
    principal   text not null references principal on delete cascade,
    title       text not null references title,
    position_s  double precision not null default 0 check (position_s >= 0),
    position_at timestamptz,
    watched_ms  bigint not null default 0 check (watched_ms >= 0),
    first_at    timestamptz,
    seen_at     timestamptz not null,
    primary key (principal, title)
);
create index watching_seen on watching (principal, seen_at desc);
