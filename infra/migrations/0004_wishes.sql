-- How the seller wants a master made, said when its upload begins; its job takes it over.
alter table upload
    add column mode     text not null default 'fixed' check (mode in ('fixed', 'per-title')),
    add column loudness boolean not null default false;
