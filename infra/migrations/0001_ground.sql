-- People, sellers, titles, uploads, jobs, the right to watch, and the outbox all of them write to.

-- Who acts. `sub` is the random pseudonym that leaves this database; no personal data hangs on it elsewhere.
create table principal (
    id          text primary key,
    kind        text not null check (kind in ('guest', 'registered', 'wallet', 'service')),
    sub         text not null unique,
    merged_into text references principal,
    created_at  timestamptz not null default now(),
    deleted_at  timestamptz
);

create table account (
    principal       text primary key references principal on delete cascade,
    email           text not null,
    email_folded    text not null unique,
    username        text not null,
    username_folded text not null unique,
    password_hash   text not null,
    created_at      timestamptz not null default now()
);

-- A logged-in device. The id is the SHA-256 of the random session id in the cookie.
create table login (
    id         bytea primary key,
    public_id  text not null unique,
    principal  text not null references principal on delete cascade,
    device     text not null,
    name       text not null,
    place      text not null default '',
    created_at timestamptz not null default now(),
    last_seen  timestamptz not null default now(),
    expires_at timestamptz not null
);
create index login_principal on login (principal, last_seen desc);
create index login_expiry on login (expires_at);

create table password_reset (
    token_hash bytea primary key,
    principal  text not null references principal on delete cascade,
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index password_reset_principal on password_reset (principal);
create index password_reset_expiry on password_reset (expires_at);

-- A role held within a scope: `global`, `partner:<seller>` or `territory:<code>`.
create table assignment (
    principal  text not null references principal on delete cascade,
    role       text not null,
    scope      text not null default 'global',
    created_at timestamptz not null default now(),
    primary key (principal, role, scope)
);
create index assignment_scope on assignment (scope);

create table seller (
    id            text primary key,
    name          text not null,
    handle        text not null,
    handle_folded text not null unique,
    created_at    timestamptz not null default now()
);

-- Name, looks and legal texts of this installation: one row.
create table portal (
    only_row    boolean primary key default true check (only_row),
    name        text not null default 'Usher',
    logo_url    text not null default '',
    accent      text not null default '#b4232f',
    accent_dark text not null default '#ff6b6f',
    fee_bp      integer not null default 1000 check (fee_bp between 0 and 10000),
    currency    text not null default 'USD',
    legal_text  text not null default '',
    updated_at  timestamptz not null default now()
);
insert into portal default values;

create table title (
    id              text primary key,
    seller          text not null references seller,
    kind            text not null check (kind in ('video', 'audio', 'series', 'season', 'episode')),
    parent          text references title,
    short_id        text not null,
    short_folded    text not null unique,
    slug            text not null,
    name            text not null,
    description     text not null default '',
    state           text not null default 'draft'
                    check (state in ('draft', 'processing', 'ready', 'published', 'archived')),
    price_minor     bigint not null default 0 check (price_minor >= 0),
    currency        text not null default 'USD',
    window_from     timestamptz,
    window_until    timestamptz,
    published_at    timestamptz,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    taken_down_at   timestamptz,
    takedown_reason text,
    takedown_notice text,
    -- what the farm made of the newest master; null until the first one is ready
    version         text,
    edition         text,
    ceilings        text[] not null default '{}',
    duration_s      double precision,
    width           integer,
    height          integer,
    sound_only      boolean not null default false,
    has_poster      boolean not null default false,
    search          tsvector generated always as (
                        setweight(to_tsvector('simple', name), 'A')
                        || setweight(to_tsvector('simple', description), 'C')) stored
);
create index title_shelf on title (published_at desc, id desc) where state = 'published';
create index title_seller on title (seller, created_at desc, id desc);
create index title_parent on title (parent) where parent is not null;
create index title_search on title using gin (search);
create unique index title_slug on title (seller, slug);
-- how full the space of short ids of a length is
create index title_short_length on title (length(short_folded));

create table upload (
    id           text primary key,
    title        text not null references title,
    principal    text not null references principal,
    filename     text not null,
    size_bytes   bigint not null check (size_bytes >= 0),
    offset_bytes bigint not null default 0 check (offset_bytes between 0 and size_bytes),
    -- bytes already in finished parts of the bucket's multipart upload; the rest up to the offset is in `tail`
    stored_bytes bigint not null default 0,
    tail         bytea not null default '',
    multipart    text,
    container    text,
    sha256       text,
    announced_sha256 text,
    state        text not null default 'open' check (state in ('open', 'completed', 'aborted', 'expired')),
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    completed_at timestamptz
);
create index upload_expiry on upload (expires_at) where state = 'open';
create index upload_title on upload (title, created_at desc);
create index upload_principal on upload (principal, created_at);

create table job (
    id          text primary key,
    title       text not null references title,
    upload      text not null references upload,
    seller      text not null references seller,
    master      text not null,
    sha256      text not null,
    kind        text not null default 'video',
    state       text not null default 'queued'
                check (state in ('queued', 'encoding', 'finalising', 'done', 'failed', 'cancelled')),
    queue       text not null default 'cpu',
    version     text,
    duration_s  double precision,
    width       integer,
    height      integer,
    renditions  text[] not null default '{}',
    speed       double precision not null default 0,
    attempts    integer not null default 0,
    ticket_at   timestamptz,
    last_error  text,
    error_code  text,
    queued_at   timestamptz not null default now(),
    started_at  timestamptz,
    finished_at timestamptz
);
create index job_open on job (queued_at) where state in ('queued', 'encoding', 'finalising');
create index job_title on job (title, queued_at desc);
create index job_version on job (version);
create index job_stopped on job (finished_at) where state in ('failed', 'cancelled');

-- One piece of a planned job. `failures` are the input's fault, `lost` are workers that vanished; counted apart.
create table job_chunk (
    job       text not null references job on delete cascade,
    chunk     text not null,
    progress  jsonb not null default '{}',
    started   integer not null default 0,
    failures  integer not null default 0,
    lost      integer not null default 0,
    ticket_at timestamptz,
    done_at   timestamptz,
    primary key (job, chunk)
);

-- The right to watch a scope (a title's id today). Each row has one source, so a right is never given twice for it.
create table entitlement (
    id         text primary key,
    principal  text not null references principal on delete cascade,
    scope      text not null,
    kind       text not null check (kind in ('grant', 'purchase')),
    source     text not null unique,
    created_at timestamptz not null default now(),
    ends_at    timestamptz,
    revoked_at timestamptz
);
create index entitlement_right on entitlement (principal, scope) where revoked_at is null;
create index entitlement_principal on entitlement (principal, created_at);
create index entitlement_scope on entitlement (scope, created_at desc) where revoked_at is null;

-- What leaves the database leaves here, in the transaction that made it true.
create table outbox (
    seq        bigint generated always as identity primary key,
    id         text not null unique,
    topic      text not null check (topic in ('event', 'task', 'push')),
    type       text not null,
    subject    text not null,
    at         timestamptz not null default now(),
    v          integer not null default 1,
    data       jsonb not null,
    relayed_at timestamptz
);
create index outbox_waiting on outbox (topic, seq) where relayed_at is null;
create index outbox_relayed on outbox (relayed_at) where relayed_at is not null;
create index outbox_push on outbox (at) where topic = 'push';

-- Entries of streams that count and were counted, so that a second delivery changes nothing.
create table inbox (
    id text primary key,
    at timestamptz not null default now()
);
create index inbox_at on inbox (at);

create function outbox_notify() returns trigger language plpgsql as $$
begin
    notify outbox;
    return null;
end $$;
create trigger outbox_wake after insert on outbox for each statement execute function outbox_notify();

create table flag (
    name       text primary key,
    enabled    boolean not null default false,
    percent    integer not null default 100 check (percent between 0 and 100),
    meaning    text not null,
    updated_at timestamptz not null default now()
);
insert into flag (name, meaning) values
    ('qoe.enabled', 'collect quality-of-experience reports from players'),
    ('cdn.multi.enabled', 'offer more than one delivery network to players'),
    ('fraud.enforce', 'act on fraud scores instead of only recording them'),
    ('recon.enabled', 'reconcile providers with the ledger each night'),
    ('live.enabled', 'accept live broadcasts');

-- Who changed what: append-only.
create table audit (
    seq    bigint generated always as identity primary key,
    at     timestamptz not null default now(),
    actor  text not null,
    action text not null,
    object text not null,
    before jsonb,
    after  jsonb,
    place  text not null default ''
);
create index audit_object on audit (object, seq desc);
create index audit_actor on audit (actor, seq);

create function append_only() returns trigger language plpgsql as $$
begin
    raise exception 'table % is append-only', tg_table_name;
end $$;
create trigger audit_append_only before update or delete on audit
    for each statement execute function append_only();
