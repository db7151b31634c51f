-- A farm of many chunks: what a job needs to be offered, played while it is made, and planned anew.
alter table job
    add column encoder      text not null default '',
    add column priority     smallint not null default 1,
    add column memory_bytes bigint not null default 0,
    add column edition      text,
    add column ceilings     text[] not null default '{}',
    add column playable_at  timestamptz,
    add column mode         text not null default 'fixed' check (mode in ('fixed', 'per-title')),
    add column loudness     boolean not null default false;

alter table job_chunk
    add column media_s double precision not null default 0,
    add column score   double precision not null default 1e13;

-- `making`: version and edition are there to be watched while the rest is made. `poster`: which of its `posters` stills
-- is shown.
alter table title
    add column making         boolean not null default false,
    add column has_storyboard boolean not null default false,
    add column languages      text[] not null default '{}',
    add column loudness_lufs  double precision,
    add column posters        integer not null default 1,
    add column poster         integer not null default 0;

create table subtitle (
    id         text primary key,
    title      text not null references title on delete cascade,
    language   text not null,
    label      text not null,
    key        text not null,
    sha256     text not null,
    forced     boolean not null default false,
    is_default boolean not null default false,
    created_at timestamptz not null default now(),
    unique (title, language, forced)
);
