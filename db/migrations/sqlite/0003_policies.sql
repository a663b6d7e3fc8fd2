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

-- More shards, so that more pushes find one that nobody holds.
insert into project_usage (project_id, shard, used, room)
select p.id, s.shard, 0, case when p.storage_limit < 0 then 144115188075855871 else 0 end
from project p cross join (with recursive n (shard) as (select 8 union all select shard + 1 from n where shard < 31) select shard from n) s;

-- How many repositories a project shows.
create index repository_published on repository (project_id) where published = 1;
