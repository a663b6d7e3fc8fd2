-- Storage that scales out: what a store needs to go on with an upload, garbage collection, quotas, leases.
alter table upload add column store_state blob;
alter table upload add column project_id integer references project (id);
alter table upload add column reserved integer not null default 0;

-- When it is to be seen whether something refers to a link; null where something does.
alter table repository_blob add column review_at integer;
update repository_blob set review_at = lease_until;
create index repository_blob_review on repository_blob (review_at) where review_at is not null;

alter table blob add column condemned_at integer;
-- Whether the object may be deleted; 0 for one that an import found and nobody adopted.
alter table blob add column owned integer not null default 1;
create index blob_condemned on blob (condemned_at, id) where state = 'condemned';

create index manifest_reference_link on manifest_reference (blob_id, repository_id);
drop index manifest_reference_blob;

-- What a project holds and how much more it may, in shards so that pushes do not wait for each other.
create table project_usage (
    project_id integer not null references project (id),
    shard integer not null,
    used integer not null,
    room integer not null,
    primary key (project_id, shard)
) without rowid;
insert into project_usage (project_id, shard, used, room)
select p.id, s.value, case when s.value = 0 then held.bytes else 0 end,
       case when p.storage_limit < 0 then 576460752303423487
            when s.value = 0 then p.storage_limit - held.bytes else 0 end
from project p
join (select p.id,
        coalesce((select sum(size) from (
            select distinct b.id, b.size from repository r join repository_blob l on l.repository_id = r.id
            join blob b on b.id = l.blob_id where r.project_id = p.id and b.state = 'live')), 0)
        + coalesce((select sum(length(m.payload)) from repository r
            join manifest m on m.repository_id = r.id where r.project_id = p.id), 0) as bytes
      from project p) held on held.id = p.id
join json_each('[0,1,2,3,4,5,6,7]') s;

-- What was given back and is not yet added to the room: rows are only added, so that nobody waits.
create table project_refund (
    id integer not null primary key autoincrement,
    project_id integer not null references project (id),
    bytes integer not null
);
create index project_refund_project on project_refund (project_id);

-- Who does what only one process may do, and until when.
create table lease (
    name text not null primary key,
    holder text not null,
    until integer not null
) without rowid;

-- The blob stores of this installation; each carries the same ids in gantry-store.json at its root. One store
-- at a time is being claimed, and one is current.
create table store_identity (
    store_id text not null primary key,
    installation_id text not null,
    state text not null,
    claimed_at integer not null
) without rowid;
create unique index store_identity_claiming on store_identity (state) where state in ('claiming', 'current');
