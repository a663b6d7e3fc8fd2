-- Times are microseconds since 1970, flags are 0 and 1, digests are a byte for the algorithm (1: sha256, 2: sha512) and the hash.
-- What is deleted keeps its name and gets a tombstone (deleted_at): names are unique among the living, and ids,
-- never names, tie rows together.

-- What is made once, and marks: keys, the CA.
create table installation (
    name text not null primary key,
    value blob not null
) without rowid;

-- Settings that were changed, by their names in /configurations: JSON, or in hex what the master key sealed.
create table setting (
    name text not null primary key,
    value text not null
) without rowid;

-- Goes up with each change of settings. Processes look at it to know when to read them.
create table setting_version (
    id integer not null primary key check (id = 1),
    version integer not null
);
insert into setting_version (id, version) values (1, 0);

-- The blob stores of this installation; each carries the same ids in gantry-store.json at its root. One store
-- at a time is being claimed, and one is current.
create table store_identity (
    store_id text not null primary key,
    installation_id text not null,
    state text not null,
    claimed_at integer not null
) without rowid;
create unique index store_identity_claiming on store_identity (state) where state in ('claiming', 'current');

-- Whoever acts or holds a role, whatever it is: members, uploads, tags and the history name one of these. What a
-- kind has besides stands in a table of its own, whose ids are what clients see.
create table principal (
    id integer not null primary key autoincrement,
    kind text not null,
    name text not null,
    -- Rises whenever tokens made before must no longer be valid.
    generation integer not null,
    deleted_at integer
);
-- Users and robots sign in by their names; groups do not.
create unique index principal_login on principal (name) where kind in ('user', 'robot') and deleted_at is null;
create unique index principal_group on principal (name) where kind = 'group' and deleted_at is null;

create table user_account (
    id integer not null primary key autoincrement,
    principal_id integer not null unique references principal (id),
    email text,
    -- The address to which links are mailed: one was opened that was mailed there, or an administrator set it.
    verified_email text,
    realname text not null,
    comment text not null,
    password_hash text,
    sysadmin integer not null,
    -- 1 until the address of an account that somebody made for themselves is verified: before, it does not sign in.
    unverified integer not null default 0,
    created_at integer not null,
    updated_at integer not null
);
-- Not unique: changing one's own address must not tell that another user has it.
create index user_account_email on user_account (lower(email));
create index user_account_verified_email on user_account (lower(verified_email));
create index user_account_unverified on user_account (created_at) where unverified = 1;

-- Groups of users, which hold roles as users do.
create table user_group (
    id integer not null primary key autoincrement,
    principal_id integer not null unique references principal (id),
    -- Where it comes from: 1 LDAP, 2 HTTP, 3 OIDC.
    source integer not null,
    -- Empty unless it comes from LDAP: its entry as it was given, and the same text for all names of that entry.
    ldap_dn text not null,
    ldap_key text not null,
    created_at integer not null,
    updated_at integer not null
);
create unique index user_group_ldap_key on user_group (ldap_key) where ldap_key <> '';

-- Who is in which group, by their ids among principals.
create table group_member (
    principal_id integer not null references principal (id),
    group_id integer not null references principal (id),
    primary key (principal_id, group_id)
) without rowid;
create index group_member_group on group_member (group_id);

-- Users that a directory knows. What never changes there ties them to it, never a name or a mail address.
create table identity (
    principal_id integer not null primary key references principal (id),
    -- What knows it: `ldap` or `oidc`.
    source text not null,
    -- What it never changes: an attribute and its value, such as entryuuid:…, or the issuer, a space and the subject.
    subject text not null,
    -- Its entry, where it was found last; empty for OIDC.
    dn text not null,
    -- Whether a group there makes it a system administrator.
    admin integer not null,
    -- 0 where the last reading did not find it, or found that it may not sign in.
    active integer not null,
    read_at integer not null,
    unique (source, subject)
);
create index identity_read on identity (source, read_at);
create index identity_active on identity (source, principal_id) where active = 1;

-- What is kept of users whom an OIDC provider knows. What is sealed only the master key opens.
create table oidc_account (
    principal_id integer not null primary key references principal (id),
    -- Sealed, by which the provider is asked again; null where it gave none.
    refresh_token blob,
    -- Sealed, the password of docker and helm.
    cli_secret blob not null,
    -- When the provider vouched for the user last.
    checked_at integer not null,
    -- Until when one process alone asks the provider again.
    held_until integer not null,
    created_at integer not null,
    updated_at integer not null
);
create index oidc_account_check on oidc_account (checked_at) where refresh_token is not null;

-- What works once, by its hash: sign-ins that wait for a name, and those and logout tokens that were used.
create table oidc_ticket (
    hash blob not null primary key,
    -- Sealed, whom a name is waited for; null where it was used.
    content blob,
    expires_at integer not null
);
create index oidc_ticket_expiry on oidc_ticket (expires_at);

-- Sessions of browsers. The hash is of what the browser holds, which is stored nowhere.
create table session (
    id integer not null primary key autoincrement,
    hash blob not null unique,
    principal_id integer not null references principal (id),
    -- The principal's when the session began or got its key: with another one it has ended.
    generation integer not null,
    -- Where it began, for its owner to recognize it.
    address text not null,
    agent text not null,
    created_at integer not null,
    renewed_at integer not null,
    expires_at integer not null,
    -- Of one that began with an OIDC provider, else null: what the provider calls it, after the issuer and a space, and
    -- the ID token, sealed, which ends it there.
    oidc_sid text,
    oidc_id_token blob
);
create index session_oidc on session (oidc_sid) where oidc_sid is not null;
create index session_principal on session (principal_id);
create index session_expiry on session (expires_at);

-- What users keep for their own pages, as JSON: preferences and favourites.
create table preference (
    principal_id integer not null references principal (id),
    name text not null,
    value text not null,
    updated_at integer not null,
    primary key (principal_id, name)
) without rowid;

-- Notices that somebody does not want to see again, by their keys.
create table notice_dismissal (
    principal_id integer not null references principal (id),
    notice text not null,
    at integer not null,
    primary key (principal_id, notice)
) without rowid;

-- Links that were mailed. What they hold is not stored, only its hash.
create table mailed_link (
    id integer not null primary key autoincrement,
    hash blob not null unique,
    principal_id integer not null references principal (id),
    -- verify or reset.
    purpose text not null,
    -- The address that it was sent to: with another one the link is void.
    email text not null,
    -- The principal's when it was made: with another one, as after a change of the password, the link is void.
    generation integer not null,
    created_at integer not null,
    expires_at integer not null
);
create index mailed_link_principal on mailed_link (principal_id);
create index mailed_link_expiry on mailed_link (expires_at);

create table project (
    id integer not null primary key autoincrement,
    name text not null,
    owner_id integer not null references user_account (id),
    public integer not null,
    -- Bytes; -1 for no limit.
    storage_limit integer not null,
    -- Seconds to keep an untagged manifest; null for ever.
    untagged_secs integer,
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
);
create unique index project_name on project (name) where deleted_at is null;
create index project_deleted on project (deleted_at) where deleted_at is not null;
-- Projects with a limit, which few have.
create index project_limited on project (id) where storage_limit >= 0 and deleted_at is null;

-- Robots: programs that sign in by themselves.
create table robot (
    id integer not null primary key autoincrement,
    principal_id integer not null unique references principal (id),
    -- Null for a robot of the system.
    project_id integer references project (id),
    -- The principal's name without the prefix that robots had when it was made: project+name, or name.
    name text not null,
    description text not null,
    -- SHA-256 of a random secret, or argon2id of one that somebody chose.
    secret_hash text not null,
    -- The secret before it, until when that one works too, and its uses since.
    previous_hash text,
    previous_until integer,
    previous_uses integer not null default 0,
    previous_used_at integer,
    -- Days from when it was made, -1 for ever; and when that is.
    duration integer not null,
    expires_at integer,
    -- The days before it expires of which the last event told.
    expiry_stage integer,
    disabled integer not null,
    -- Who made it: `local` and a user's id, or `robot` and a robot's.
    creator_type text not null,
    creator_ref integer not null,
    -- The last use, up to a minute late.
    used_at integer,
    used_address text,
    created_at integer not null,
    updated_at integer not null
);
create index robot_project on robot (project_id, name);
-- Which robots end next.
create index robot_expiry on robot (expires_at) where expires_at is not null and disabled = 0;

-- What a robot may do, in the order in which it was given.
create table robot_permission (
    id integer not null primary key autoincrement,
    robot_id integer not null references robot (id),
    -- Where: `system`, `everywhere` (in all projects), or `project`.
    place text not null,
    project_id integer references project (id),
    resource text not null,
    action text not null
);
create index robot_permission_robot on robot_permission (robot_id, id);
create index robot_permission_project on robot_permission (project_id) where project_id is not null;

-- Rules by which CI jobs and pods get in with tokens of their own issuers. A rule is a principal: its generation voids
-- what it gave.
create table workload_rule (
    id integer not null primary key autoincrement,
    principal_id integer not null unique references principal (id),
    project_id integer not null references project (id),
    name text not null,
    issuer text not null,
    audience text not null,
    subject text not null,
    -- What subjects that match begin with, up to their third separator: what rules are looked up by.
    subject_key text not null,
    -- Further claims and their patterns, as a JSON object.
    claims text not null,
    role integer not null,
    lifetime integer not null,
    -- The issuer's keys as a JWK set (RFC 7517); null where the issuer is asked for them.
    jwks text,
    -- Authorities of the issuer's own, in PEM; null for those that the system trusts.
    ca text,
    created_at integer not null,
    updated_at integer not null,
    unique (project_id, name)
);
create index workload_rule_subject on workload_rule (issuer, subject_key, id);

create table project_metadata (
    project_id integer not null references project (id),
    name text not null,
    value text not null,
    primary key (project_id, name)
) without rowid;

-- What a project holds and how much more it may, in shards so that pushes do not wait for each other.
create table project_usage (
    project_id integer not null references project (id),
    shard integer not null,
    used integer not null,
    room integer not null,
    primary key (project_id, shard)
) without rowid;

-- What was given back and is not yet added to the room: rows are only added, so that nobody waits.
create table project_refund (
    id integer not null primary key autoincrement,
    project_id integer not null references project (id),
    bytes integer not null
);
create index project_refund_project on project_refund (project_id);

create table member (
    id integer not null primary key autoincrement,
    project_id integer not null references project (id),
    principal_id integer not null references principal (id),
    role integer not null,
    created_at integer not null,
    unique (project_id, principal_id)
);
create index member_principal on member (principal_id);

-- Members of deleted projects: they get their roles back with the project, and may read its events as long as
-- it can be restored; after that they are removed.
create table former_member (
    project_id integer not null references project (id),
    principal_id integer not null references principal (id),
    role integer not null,
    created_at integer not null,
    primary key (project_id, principal_id)
) without rowid;
create index former_member_principal on former_member (principal_id);

-- Roles that wait for people who were never here: whoever the OIDC provider vouches for with this claim gets them.
create table expected_member (
    id integer not null primary key autoincrement,
    project_id integer not null references project (id),
    role integer not null,
    issuer text not null,
    claim text not null,
    value text not null,
    created_at integer not null,
    unique (project_id, issuer, claim, value)
);
create index expected_member_claim on expected_member (issuer, claim, value);

-- Accounts that wait for their person: whoever the OIDC provider vouches for with this claim gets the account.
create table expected_identity (
    principal_id integer not null primary key references principal (id),
    issuer text not null,
    claim text not null,
    value text not null,
    created_at integer not null,
    unique (issuer, claim, value)
) without rowid;

create table repository (
    id integer not null primary key autoincrement,
    project_id integer not null references project (id),
    -- The whole name, project included.
    name text not null,
    -- What its members say about it, as Markdown.
    description text not null default '',
    -- Whether it ever had a manifest: one of blobs alone is not shown.
    published integer not null,
    -- How many of its manifests are listed, see db::listed.
    artifacts integer not null,
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
);
create unique index repository_name on repository (name) where deleted_at is null;
create index repository_project on repository (project_id, name);
-- What has still to be removed of deleted repositories.
create index repository_deleted on repository (id) where deleted_at is not null;
-- How many repositories a project shows.
create index repository_published on repository (project_id) where published = 1 and deleted_at is null;

-- Pulls are counted apart from what pushes and deletions write.
create table repository_stat (
    repository_id integer not null primary key references repository (id) on delete cascade,
    pulls integer not null,
    pulled_at integer not null
);

-- The blobs that are there. The object of one that goes is left to object_garbage in the same transaction.
create table blob (
    id integer not null primary key autoincrement,
    digest blob not null unique,
    object_key text not null unique,
    size integer not null,
    -- Whether the object is Gantry's own, to be deleted as garbage; 0 for one that an import found.
    owned integer not null,
    -- When the object was found missing or damaged; null where it is whole as far as anybody knows.
    lost_at integer,
    created_at integer not null
);

create table repository_blob (
    repository_id integer not null references repository (id),
    blob_id integer not null references blob (id),
    -- Until when the link is kept even if nothing refers to it.
    lease_until integer not null,
    -- When to look whether something refers to the link; null where something does.
    review_at integer,
    primary key (repository_id, blob_id)
) without rowid;
create index repository_blob_blob on repository_blob (blob_id);
create index repository_blob_review on repository_blob (review_at) where review_at is not null;

-- Objects that no row needs any more, to be deleted when due.
create table object_garbage (
    object_key text not null primary key,
    -- Bytes, as far as they are known.
    size integer not null,
    -- Whether the object was never finished: parts of it may lie elsewhere in the store.
    unfinished integer not null,
    due_at integer not null,
    attempts integer not null,
    last_error text
) without rowid;
create index object_garbage_due on object_garbage (due_at, object_key);

create table manifest (
    id integer not null primary key autoincrement,
    repository_id integer not null references repository (id),
    digest blob not null,
    media_type text not null,
    -- At most 255 bytes, as media types.
    artifact_type text,
    -- What it is to clients (IMAGE, CHART, ...), and the media type of its config or, without one, its own; see
    -- model::artifact.
    kind text not null,
    config_type text not null,
    config_digest blob,
    subject blob,
    annotations text not null,
    -- Bytes of the payload.
    size integer not null,
    -- The same with all that it references, children of children included.
    total_size integer not null,
    -- Whether a tag points at it, and whether it is an artifact of the repository, see db::listed.
    tagged integer not null,
    listed integer not null,
    -- When it was first seen without a tag in a project that does not keep such; null where something keeps it.
    untagged_at integer,
    pushed_at integer not null,
    -- When its push was last answered, where it was there already.
    pushed_again_at integer,
    -- What hangs on a deleted one is removed in parts, and its row last.
    deleted_at integer,
    -- Of a deleted one: the newest referrer that has still to be looked at.
    last_referrer integer
);
create unique index manifest_digest on manifest (repository_id, digest) where deleted_at is null;
create index manifest_repository on manifest (repository_id, id);
create index manifest_subject on manifest (repository_id, subject, id) where subject is not null and deleted_at is null;
-- With what lists ask of a manifest besides: or SQLite reads each row for it.
create index manifest_listed on manifest (repository_id, pushed_at, id, tagged, listed, deleted_at)
    where listed = 1 and deleted_at is null;
create index manifest_untagged on manifest (repository_id, pushed_at, id)
    where listed = 1 and tagged = 0 and deleted_at is null;
create index manifest_kind on manifest (repository_id, kind, pushed_at, id) where listed = 1 and deleted_at is null;
create index manifest_deleted on manifest (id) where deleted_at is not null;
create index manifest_deleted_digest on manifest (repository_id, digest) where deleted_at is not null;

-- Apart from what is looked up, since it is large.
create table manifest_payload (
    manifest_id integer not null primary key references manifest (id) on delete cascade,
    payload blob not null
);

create table manifest_stat (
    manifest_id integer not null primary key references manifest (id) on delete cascade,
    pulls integer not null,
    pulled_at integer not null
);

-- What is shown of the configs of manifests, read when it is first asked for. Null where it cannot be shown.
create table manifest_attrs (
    manifest_id integer not null primary key references manifest (id) on delete cascade,
    attrs text
);

create table manifest_reference (
    manifest_id integer not null references manifest (id),
    position integer not null,
    repository_id integer not null references repository (id),
    kind text not null,
    digest blob not null,
    blob_id integer references blob (id),
    child_id integer references manifest (id),
    size integer not null,
    media_type text not null,
    platform text,
    -- What an index says of it besides, as JSON.
    annotations text,
    primary key (manifest_id, position)
) without rowid;
create index manifest_reference_digest on manifest_reference (repository_id, digest);
create index manifest_reference_link on manifest_reference (blob_id, repository_id);
create index manifest_reference_child on manifest_reference (child_id);

-- Manifests that belong to another one and are listed with it: signatures, SBOMs and others, see model::accessory.
-- The subject need not be there.
create table accessory (
    manifest_id integer not null primary key references manifest (id) on delete cascade,
    repository_id integer not null references repository (id),
    subject blob not null,
    type text not null
);
create index accessory_subject on accessory (repository_id, subject, manifest_id);

create table tag (
    id integer not null primary key autoincrement,
    repository_id integer not null references repository (id),
    name text not null,
    manifest_id integer not null references manifest (id),
    -- The other manifest that it pointed at last, which may be gone.
    previous_id integer,
    pushed_at integer not null,
    -- What an import pointed it at; null where a push set it last.
    imported_digest blob,
    -- When and where it was last set, see db::tag::version; null for its last push, and for this installation.
    version_at integer,
    version_origin text,
    unique (repository_id, name)
);
create index tag_manifest on tag (manifest_id, name);
create index tag_pushed on tag (repository_id, pushed_at, id);

-- When and where tags were deleted, by the whole names of their repositories; a tag may be there again since.
create table tag_deletion (
    repository text not null,
    tag text not null,
    at integer not null,
    -- Null for this installation.
    origin text,
    primary key (repository, tag)
) without rowid;
create index tag_deletion_at on tag_deletion (at);

-- What each tag pointed at from when on. It outlives tags, manifests and purges of the audit log.
create table tag_history (
    id integer not null primary key autoincrement,
    repository_id integer not null references repository (id) on delete cascade,
    name text not null,
    digest blob not null,
    -- Who set it; null for the command line.
    principal_id integer,
    at integer not null
);
create index tag_history_name on tag_history (repository_id, name, id);

create table tag_stat (
    tag_id integer not null primary key references tag (id) on delete cascade,
    pulls integer not null,
    pulled_at integer not null
);

-- Tags that match an enabled rule of their project are not moved or deleted.
create table immutable_rule (
    id integer not null primary key autoincrement,
    project_id integer not null references project (id),
    enabled integer not null,
    -- What it says, as JSON; a project has no two rules that say the same.
    selectors text not null,
    created_at integer not null,
    unique (project_id, selectors)
);

create table label (
    id integer not null primary key autoincrement,
    -- Null for one of the whole installation.
    project_id integer references project (id),
    name text not null,
    description text not null,
    color text not null,
    created_at integer not null,
    updated_at integer not null,
    -- It does not exist any more; its links are still to be purged.
    deleted_at integer
);
create unique index label_name on label (coalesce(project_id, 0), name) where deleted_at is null;
create index label_deleted on label (id) where deleted_at is not null;

create table label_link (
    manifest_id integer not null references manifest (id) on delete cascade,
    label_id integer not null references label (id),
    primary key (manifest_id, label_id)
) without rowid;
create index label_link_label on label_link (label_id);

create table upload (
    id text not null primary key,
    repository text not null,
    project_id integer not null references project (id),
    -- Who began it; null for the machine itself.
    principal_id integer,
    object_key text,
    size integer not null,
    hash_state blob,
    -- What the store needs besides to go on.
    store_state blob,
    -- Bytes that the project was charged for ahead.
    reserved integer not null,
    -- Counts those who took it over.
    epoch integer not null,
    -- The process that writes it.
    process text not null,
    -- Whether several processes wrote it: the bytes are hashed again before they become a blob.
    rehash integer not null,
    state text not null,
    started_at integer not null,
    expires_at integer not null
) without rowid;
create index upload_expiry on upload (expires_at);
create index upload_key on upload (object_key);
create index upload_project on upload (project_id) where state = 'open';

create table audit (
    id integer not null primary key autoincrement,
    at integer not null,
    principal_id integer,
    principal_name text not null,
    address text not null,
    agent text not null default '',
    operation text not null,
    resource_type text not null,
    resource text not null,
    project_id integer,
    repository text,
    tag text,
    digest blob,
    success integer not null,
    times integer not null,
    detail text not null
);
-- What the log is searched by: each index ends with time and id, in which order the log is listed.
create index audit_at on audit (at, id);
create index audit_project on audit (project_id, at, id) where project_id is not null;
create index audit_principal on audit (principal_name, at, id);
create index audit_repository on audit (repository, at, id) where repository is not null;
create index audit_tag on audit (tag, at, id) where tag is not null;
create index audit_operation on audit (operation, at, id);

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

-- What was purged of the entries that a seal covers, see db::audit::purge.
create table audit_purge (
    sequence integer not null primary key references audit_seal (sequence),
    -- Entries of the seal that were removed, and those that are left.
    removed integer not null,
    remaining integer not null,
    -- Hash over the entries that are left, as a seal of them alone would have it.
    hash blob not null,
    -- By which rule entries were removed last.
    rule text not null,
    purged_at integer not null,
    signature blob not null
);

-- Those that read the audit log as it grows, to tell others: each is as far as it has told them, see db::audit::follower.
create table audit_follower (
    name text not null primary key,
    -- The newest entry that was passed on.
    read_id integer not null,
    -- When something was last passed on.
    sent_at integer,
    -- Failures in a row, when they began, why the last one was, and when the next attempt is due.
    failures integer not null,
    failing_since integer,
    retry_at integer,
    error text not null
) without rowid;

-- Blobs that were pushed or mounted, for those to whom events of the registry are sent; removed once all have it. Ids are
-- in one order with those of the audit log, see db::blob_event.
create table blob_event (
    id integer not null primary key,
    at integer not null,
    principal_name text not null,
    address text not null,
    agent text not null,
    repository text not null,
    digest blob not null,
    size integer not null,
    -- The repository that it was mounted from; null where it was pushed.
    source text
);
create trigger blob_event_number after insert on blob_event begin
    update sqlite_sequence set seq = new.id where name = 'audit';
end;

-- Pulls and pushes of artifacts by project and hour (microseconds since 1970), from the sealed entries of the audit log.
-- They outlive purges.
create table stat_hour (
    -- 0: of no project.
    project_id integer not null,
    hour integer not null,
    pulls integer not null,
    pushes integer not null,
    refused_pulls integer not null,
    refused_pushes integer not null,
    primary key (project_id, hour)
) without rowid;
create index stat_hour_hour on stat_hour (hour);

-- The newest entry that stat_hour counts; no row before the first.
create table stat_mark (
    id integer not null primary key check (id = 1),
    audit_id integer not null
);

-- People whose names are being taken out of the audit log, see db::audit::erasure. It goes when that is done.
create table erasure (
    principal_id integer not null primary key references principal (id),
    -- The name that they had.
    name text not null,
    -- When their account was made and when it was deleted: others may have had the name before and since.
    since integer not null,
    until integer not null
) without rowid;

-- Batches of pulls and audit entries that were written: a batch whose answer was lost is not counted twice.
create table written_batch (
    id text not null primary key,
    at integer not null
) without rowid;
create index written_batch_at on written_batch (at);

-- Failed logins of one process that the others do not know yet.
create table login_failure (
    id integer not null primary key autoincrement,
    process text not null,
    at integer not null,
    network blob not null,
    account blob not null,
    failures integer not null,
    -- 1 where the account is a person of a directory, under whichever name: its network is counted under the name.
    of_person integer not null
);
create index login_failure_at on login_failure (at);

-- Background jobs of all kinds, see db::job.
create table job (
    id integer not null primary key autoincrement,
    kind text not null,
    -- Whether the job is always there: after each run it is queued again.
    standing integer not null,
    payload_version integer not null,
    payload text not null,
    -- Among jobs of a kind with the same key, only one is queued or running.
    dedup_key text,
    -- Smaller comes first.
    priority integer not null,
    -- queued, running, done, failed or cancelled.
    state text not null,
    due_at integer not null,
    -- Runs since the last success.
    attempts integer not null,
    -- Raised by each taker: writes with an older number fail, see db::fence.
    fence integer not null,
    holder text,
    lease_until integer,
    -- When the holder was asked to stop.
    cancel_at integer,
    progress text,
    result text,
    last_error text,
    created_at integer not null,
    started_at integer,
    finished_at integer,
    -- Whose it is, for kinds that are shared fairly, see db::job::Lane.
    lane_group text,
    lane_member text,
    -- Makes the number part of a key, see db::fence.
    unique (id, fence)
);
create unique index job_dedup on job (kind, dedup_key) where state in ('queued', 'running');
create index job_due on job (kind, priority, due_at) where state = 'queued';
-- Jobs queued by a clock that was ahead, see db::job.
create index job_ahead on job (coalesce(finished_at, created_at)) where state = 'queued';
create index job_held on job (kind) where state = 'running';
create index job_finished on job (finished_at) where state in ('done', 'failed', 'cancelled');

-- Log lines of jobs, for operators.
create table job_log (
    id integer not null primary key autoincrement,
    job_id integer not null references job (id) on delete cascade,
    at integer not null,
    level text not null,
    line text not null
);
create index job_log_job on job_log (job_id, id);
create index job_log_at on job_log (at);

-- Jobs added at recurring times, in UTC.
create table schedule (
    id integer not null primary key autoincrement,
    kind text not null,
    -- What it belongs to, such as the id of a rule; empty if the kind has only one schedule.
    subject text not null,
    payload_version integer not null,
    payload text not null,
    -- Six fields: second, minute, hour, day of month, month, day of week.
    cron text not null,
    next_at integer not null,
    -- When next_at was computed.
    computed_at integer not null,
    unique (kind, subject)
);
create index schedule_next on schedule (next_at);

-- Other registries, see db::registry.
create table registry (
    id integer not null primary key autoincrement,
    name text not null unique,
    description text not null,
    -- Harbor's name of its kind.
    kind text not null,
    url text not null,
    -- Empty for nobody.
    access_key text not null,
    -- Sealed with the master key; null where there is none.
    secret blob,
    insecure integer not null,
    -- Authorities of its own, in PEM.
    ca text,
    -- Why it could not be used when it was last looked at; null where it could.
    problem text,
    checked_at integer not null,
    -- The installation that it is, where it is a Gantry and has told.
    origin text,
    created_at integer not null,
    updated_at integer not null
);

-- By which artifacts are copied to other registries, or from them.
create table replication_policy (
    id integer not null primary key autoincrement,
    name text not null unique,
    description text not null,
    registry_id integer not null references registry (id),
    -- push or pull.
    direction text not null,
    namespace text not null,
    -- Parts of the source's name that the namespace replaces; -1 for all but the last.
    replace_count integer not null,
    -- As clients give them, as JSON.
    filters text not null,
    -- manual, scheduled or event_based.
    trigger_kind text not null,
    cron text,
    deletion integer not null,
    overrides integer not null,
    enabled integer not null,
    speed integer not null,
    copy_by_chunk integer not null,
    single_active integer not null,
    -- The newest entry of the audit log that it has followed, where events start it.
    followed_id integer not null,
    created_at integer not null,
    updated_at integer not null
);
create index replication_policy_registry on replication_policy (registry_id);

-- What policies have copied, by its place at the destination.
create table replication_state (
    policy_id integer not null references replication_policy (id) on delete cascade,
    repository text not null,
    -- A tag, or a digest of what had no tag.
    reference text not null,
    -- The repository that it came from.
    source text not null,
    digest blob not null,
    copied_at integer not null,
    primary key (policy_id, repository, reference)
) without rowid;
create index replication_state_source on replication_state (policy_id, source, reference);

-- To which installations what is pushed to a repository goes on, as the destination told when it was last asked.
create table replication_reach (
    policy_id integer not null references replication_policy (id) on delete cascade,
    repository text not null,
    -- A JSON object: installations, with the number of copies on the way.
    reached text not null,
    primary key (policy_id, repository)
) without rowid;

-- Uploads of large blobs to other registries that can go on where they broke off.
create table replication_upload (
    policy_id integer not null references replication_policy (id) on delete cascade,
    repository text not null,
    digest blob not null,
    -- Where the other registry takes the rest.
    location text not null,
    at integer not null,
    primary key (policy_id, repository, digest)
) without rowid;

-- Runs of a policy, of whatever kind, see db::execution. What each has to do are tasks.
create table execution (
    id integer not null primary key autoincrement,
    -- RETENTION, REPLICATION: what kind the policy is of.
    vendor_type text not null,
    -- The policy's id among those of its kind.
    vendor_id integer not null,
    -- MANUAL, SCHEDULE or EVENT.
    cause text not null,
    -- Running, Success, Error or Stopped; what its tasks say, once all of them are there.
    status text not null,
    status_message text not null,
    -- What else there is to say about it, as a JSON object, such as dry_run.
    attrs text not null,
    -- Who started it; null for a schedule or an event.
    principal_id integer,
    operator text not null,
    -- The job that does all of it; null where its tasks have jobs of their own.
    job_id integer,
    -- Whether all its tasks are there: before, it does not end with them.
    planned integer not null,
    -- When it was asked to stop.
    stop_at integer,
    started_at integer not null,
    ended_at integer,
    -- When its policy was deleted: it is not shown any more, and pruned.
    forgotten_at integer
);
create index execution_vendor on execution (vendor_type, vendor_id, started_at, id) where forgotten_at is null;
create index execution_forgotten on execution (id) where forgotten_at is not null;
create index execution_job on execution (job_id) where job_id is not null;

-- Parts of executions, such as a repository each.
create table task (
    id integer not null primary key autoincrement,
    execution_id integer not null references execution (id) on delete cascade,
    -- What it works on; an execution has one task for it.
    subject text not null,
    -- The job that works, or worked, on it.
    job_id integer,
    -- Pending, Scheduled, Running, Success, Error or Stopped.
    status text not null,
    status_message text not null,
    -- How often it was begun.
    run_count integer not null,
    -- What else there is to say about it, as a JSON object.
    attrs text not null,
    created_at integer not null,
    started_at integer,
    updated_at integer not null,
    ended_at integer,
    unique (execution_id, subject)
);
create index task_page on task (execution_id, id);
create index task_status on task (execution_id, status, id);
create index task_job on task (job_id) where status in ('Pending', 'Scheduled', 'Running');

-- Log lines of tasks, for those who may see them.
create table task_log (
    id integer not null primary key autoincrement,
    task_id integer not null references task (id) on delete cascade,
    at integer not null,
    level text not null,
    line text not null
);
create index task_log_task on task_log (task_id, id);
create index task_log_at on task_log (at);

-- Which artifacts of a project are kept; all others of its repositories that a rule is about go. A project has one.
create table retention_policy (
    id integer not null primary key autoincrement,
    project_id integer not null unique references project (id),
    -- Its rules, as a JSON array.
    rules text not null,
    -- When it runs, six fields; empty where only somebody starts it. Its job is in the table schedule.
    cron text not null,
    created_at integer not null,
    updated_at integer not null
);

-- Which events of a project are sent where, see db::webhook.
create table webhook_policy (
    id integer not null primary key autoincrement,
    project_id integer not null references project (id),
    name text not null,
    description text not null,
    -- Harbor's names of types of events, as a JSON array.
    event_types text not null,
    enabled integer not null,
    -- Whether events of artifacts that are named by a digest alone are sent as well.
    untagged integer not null,
    -- Who made it, with the id among principals: null for the command line.
    creator text not null,
    creator_id integer references principal (id),
    -- Entries of the audit log up to this one are not sent.
    since_id integer not null,
    created_at integer not null,
    updated_at integer not null,
    -- When it was deleted: it is not shown any more, and removed once nothing of it waits.
    deleted_at integer
);
create unique index webhook_policy_name on webhook_policy (project_id, name) where deleted_at is null;
create index webhook_policy_deleted on webhook_policy (id) where deleted_at is not null;

-- Where a policy sends.
create table webhook_target (
    id integer not null primary key autoincrement,
    policy_id integer not null references webhook_policy (id) on delete cascade,
    position integer not null,
    -- http or slack.
    kind text not null,
    address text not null,
    -- Sealed with the master key; null where there is none.
    auth_header blob,
    -- What requests are signed with, sealed with the master key; null where they are not.
    secret blob,
    insecure integer not null,
    -- Default or CloudEvents.
    format text not null,
    -- Attempts without an answer since the last one that had one, and when the first of them was.
    failures integer not null,
    failing_since integer,
    -- Nothing is sent before.
    retry_at integer not null,
    -- The last attempt, its status, and why it failed.
    last_at integer,
    last_status integer,
    last_error text,
    -- When it was given up: all but the newest of what waits for it is not sent.
    skipped_at integer,
    -- When its policy stopped sending there: it is removed once nothing waits for it.
    removed_at integer
);
create index webhook_target_policy on webhook_target (policy_id, position);
create index webhook_target_gone on webhook_target (id) where removed_at is not null or skipped_at is not null;

-- What waits to be sent, in the order of its ids. Each is the task of an execution, which has the request's body.
create table webhook_delivery (
    id integer not null primary key autoincrement,
    target_id integer not null references webhook_target (id) on delete cascade,
    execution_id integer not null,
    task_id integer not null,
    -- Those with the same subject are sent one after the other.
    subject text not null,
    attempts integer not null,
    due_at integer not null,
    created_at integer not null
);
create index webhook_delivery_target on webhook_delivery (target_id, id);
create index webhook_delivery_subject on webhook_delivery (target_id, subject, id);
create index webhook_delivery_age on webhook_delivery (created_at);

-- Events that the audit log does not have, until they are followed.
create table webhook_note (
    id integer not null primary key autoincrement,
    project_id integer not null,
    event text not null,
    operator text not null,
    -- Who that is; null for a schedule or an event.
    principal_id integer,
    -- The event's data, as JSON.
    data text not null,
    at integer not null
);

-- When policies last had an event of a type.
create table webhook_trigger (
    policy_id integer not null references webhook_policy (id) on delete cascade,
    event text not null,
    at integer not null,
    -- Events like it that were not sent since, as they came too soon after it.
    held_back integer not null,
    primary key (policy_id, event)
) without rowid;

-- Certificates that every replica presents: obtained by ACME, or imported. One that replaces another is a new row.
create table certificate (
    id integer not null primary key autoincrement,
    -- What operators call it; `acme` for the one that ACME obtains.
    name text not null unique,
    -- import or acme
    source text not null,
    -- PEM, its own certificate first.
    chain text not null,
    -- Sealed, its key in PEM.
    key blob not null,
    created_at integer not null
);

-- Accounts at ACME servers, by the URL of the directory.
create table acme_account (
    directory text not null primary key,
    -- Sealed, the account's address and key.
    credentials blob not null,
    created_at integer not null
);

-- Where obtaining the certificate stands. There is at most one row.
create table acme_order (
    id integer not null primary key check (id = 1),
    -- Directory and names, as JSON: with others it begins anew.
    wanted text not null,
    -- due, ordering, valid or failed
    state text not null,
    -- The order at the server that is being worked on, and sealed, the key of its certificate.
    url text,
    key blob,
    -- When the job looks again.
    next_at integer not null,
    -- When the certificate is renewed; null where there is none.
    renew_at integer,
    -- When the server is asked for its renewal information again; null where it has none.
    info_at integer,
    -- Failures in a row, why the last one was, in a word and in words, and when.
    failures integer not null,
    reason text,
    message text,
    failed_at integer,
    -- Directory and profile by which the present certificate was obtained, as JSON; null where none was.
    obtained text,
    -- Grows by a day with each order in place of one with other settings; null where there was none.
    settled_at integer,
    updated_at integer not null
);

-- What proves names to an ACME server; every replica answers with it.
create table acme_challenge (
    -- http-01, tls-alpn-01 or dns-01
    kind text not null,
    -- The token of http-01, else the name.
    subject text not null,
    -- The key authorization; for dns-01 the text of the record.
    proof text not null,
    expires_at integer not null,
    primary key (kind, subject, proof)
) without rowid;
