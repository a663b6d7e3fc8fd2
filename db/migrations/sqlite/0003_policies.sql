-- How long an untagged manifest stays, in seconds; null for ever.
alter table project add column untagged_secs integer;
-- When a manifest of such a project was first seen without a tag; null where it has one, or nobody looked.
alter table manifest add column untagged_at integer;

-- Failed logins of one process that the others do not know yet.
create table login_failure (
    id integer not null primary key autoincrement,
    process text not null,
    at integer not null,
    pair blob not null,
    address blob not null,
    account blob not null,
    failures integer not null
);
create index login_failure_at on login_failure (at);
