-- What `gantry apply` made: `--prune` removes nothing else. A mark may outlive its object, so it refers to none.
create table applied (
    -- The table of the object.
    kind text not null,
    -- The object's id there: whatever is made under the same name later has another one.
    object_id integer not null,
    -- Null for a project, and for an object of the whole installation.
    project_id integer,
    -- What it was called when it was made; empty for a member, whose name is a person's.
    name text not null,
    at integer not null,
    primary key (kind, object_id)
) without rowid;
