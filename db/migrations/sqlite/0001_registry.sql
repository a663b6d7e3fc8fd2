-- Times are microseconds since 1970, flags are 0 and 1, digests are text.
create table setting (
    name text not null primary key,
    value blob not null
) without rowid;

create table account (
    id integer not null primary key autoincrement,
    name text not null unique,
    email text unique,
    realname text not null,
    comment text not null,
    password_hash text,
    sysadmin integer not null,
    generation integer not null,
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
);

create table project (
    id integer not null primary key autoincrement,
    name text not null unique,
    owner_id integer not null references account (id),
    public integer not null,
    storage_limit integer not null,
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
);

create table project_metadata (
    project_id integer not null references project (id),
    name text not null,
    value text not null,
    primary key (project_id, name)
) without rowid;

create table member (
    id integer not null primary key autoincrement,
    project_id integer not null references project (id),
    account_id integer not null references account (id),
    role integer not null,
    created_at integer not null,
    unique (project_id, account_id)
);
create index member_account on member (account_id);

create table repository (
    id integer not null primary key autoincrement,
    project_id integer not null references project (id),
    name text not null unique,
    published integer not null,
    pull_count integer not null,
    created_at integer not null,
    updated_at integer not null
);
create index repository_project on repository (project_id, name);

create table blob (
    id integer not null primary key autoincrement,
    digest text not null,
    object_key text not null unique,
    size integer not null,
    state text not null,
    created_at integer not null
);
create unique index blob_live on blob (digest) where state = 'live';

create table repository_blob (
    repository_id integer not null references repository (id),
    blob_id integer not null references blob (id),
    lease_until integer not null,
    primary key (repository_id, blob_id)
) without rowid;
create index repository_blob_blob on repository_blob (blob_id);

create table manifest (
    id integer not null primary key autoincrement,
    repository_id integer not null references repository (id),
    digest text not null,
    media_type text not null,
    artifact_type text,
    subject text,
    annotations text not null,
    payload blob not null,
    created_at integer not null,
    pulled_at integer,
    pull_count integer not null,
    unique (repository_id, digest)
);
create index manifest_subject on manifest (repository_id, subject, id) where subject is not null;

create table manifest_reference (
    manifest_id integer not null references manifest (id),
    position integer not null,
    repository_id integer not null references repository (id),
    kind text not null,
    digest text not null,
    blob_id integer references blob (id),
    child_id integer references manifest (id),
    size integer not null,
    media_type text not null,
    platform text,
    primary key (manifest_id, position)
) without rowid;
create index manifest_reference_digest on manifest_reference (repository_id, digest);
create index manifest_reference_blob on manifest_reference (blob_id);
create index manifest_reference_child on manifest_reference (child_id);

create table tag (
    repository_id integer not null references repository (id),
    name text not null,
    manifest_id integer not null references manifest (id),
    pushed_at integer not null,
    pulled_at integer,
    primary key (repository_id, name)
) without rowid;
create index tag_manifest on tag (manifest_id);

create table upload (
    id text not null primary key,
    repository text not null,
    account_id integer not null,
    object_key text,
    size integer not null,
    hash_state blob,
    epoch integer not null,
    state text not null,
    started_at integer not null,
    expires_at integer not null
) without rowid;
create index upload_expiry on upload (expires_at);
create index upload_key on upload (object_key);

create table audit (
    id integer not null primary key autoincrement,
    at integer not null,
    account_id integer,
    account_name text not null,
    address text not null,
    operation text not null,
    resource_type text not null,
    resource text not null,
    project_id integer,
    success integer not null,
    times integer not null,
    detail text not null
);
create index audit_at on audit (at);
create index audit_project on audit (project_id, id);

create table audit_seal (
    sequence integer not null primary key,
    first_id integer not null,
    last_id integer not null,
    entries integer not null,
    previous blob not null,
    hash blob not null,
    signature blob not null,
    sealed_at integer not null
);
