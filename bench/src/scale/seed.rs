//! Rows by the million, as the server itself would have left them after as many pushes: projects, repositories,
//! blobs with their links, manifests with what they name, tags, and what projects are charged. Their objects
//! are not there, and neither are audit entries. One text serves both databases.

use crate::stage::Stage;

/// How many rows. Repositories are numbered from 0. Each tag has a manifest and a blob of its own, and all
/// three have one number, which counts up from repository to repository.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// The first tenth of them is in the first project, a hundred are in each other one.
    pub(crate) repositories: u64,
    /// Tags of the first repository; all others have ten.
    pub(crate) crowd: u64,
}

impl Size {
    pub(crate) const MILLION: Self = Self {
        repositories: 100_000,
        crowd: 100_000,
    };

    /// Repositories of the first project.
    pub(crate) fn first_project(self) -> u64 {
        self.repositories / 10
    }

    pub(crate) fn projects(self) -> u64 {
        1 + (self.repositories - self.first_project()) / 100
    }

    pub(crate) fn tags(self) -> u64 {
        self.crowd + (self.repositories - 1) * 10
    }

    pub(crate) fn project_of(self, repository: u64) -> u64 {
        match repository.checked_sub(self.first_project()) {
            None => 0,
            Some(beyond) => 1 + beyond / 100,
        }
    }

    /// Whether everyone may read a project. They are at the end, so that who sees few is far from the first of
    /// them.
    pub(crate) fn is_public(self, project: u64) -> bool {
        project >= self.first_public()
    }

    fn first_public(self) -> u64 {
        self.projects() - self.projects().min(20)
    }

    pub(crate) fn repository(self, number: u64) -> String {
        format!("{}/r{number:06}", project(self.project_of(number)))
    }
}

pub(crate) fn project(number: u64) -> String {
    format!("scale-{number:04}")
}

/// Parts that the server spreads a project's room over, and the room of each where there is no limit.
const SHARDS: u64 = 32;
const UNLIMITED: u64 = (1 << 57) - 1;

/// Rows that the seed makes have ids from here on; those before are the server's.
pub(crate) const FIRST_ID: u64 = 1_000;

/// Fills the database of a server that ran once and has ended.
pub(crate) fn fill(stage: &Stage<'_>, size: Size) -> Result<(), String> {
    let tables = [
        projects(size),
        repositories(size),
        blobs(size),
        manifests(size),
        references(size),
        tags(size),
        charges(),
    ];
    let (before, after) = if stage.is_postgres() {
        (POSTGRES_BEFORE, POSTGRES_AFTER)
    } else {
        (SQLITE_BEFORE, "pragma journal_mode = wal;")
    };
    let tables = in_dialect(stage, &tables.join("\n"));
    stage.sql(&format!("{before}\n{tables}\n{after}"))?;
    Ok(())
}

/// Statements with what the databases write differently put in: `{bytes}` is the type of bytes; `{hex:` and `:hex}`
/// stand around a text whose bytes become hex, `{stored:` and `:stored}` around one whose bytes are the hash of a stored
/// digest, `{literal:` and `:literal}` around hex that becomes bytes.
pub(crate) fn in_dialect(stage: &Stage<'_>, statements: &str) -> String {
    let dialect = if stage.is_postgres() {
        &POSTGRES_DIALECT
    } else {
        &SQLITE_DIALECT
    };
    let put_in = |text: String, (mark, own): &(&str, &str)| text.replace(mark, own);
    dialect.iter().fold(statements.to_owned(), put_in)
}

const SQLITE_DIALECT: [(&str, &str); 7] = [
    ("{bytes}", "blob"),
    ("{hex:", "lower(hex("),
    (":hex}", "))"),
    ("{stored:", "cast(x'01' || "),
    (":stored}", " as blob)"),
    ("{literal:", "x'"),
    (":literal}", "'"),
];
const POSTGRES_DIALECT: [(&str, &str); 7] = [
    ("{bytes}", "bytea"),
    ("{hex:", "encode(convert_to("),
    (":hex}", ", 'UTF8'), 'hex')"),
    ("{stored:", "('\\x01'::bytea || convert_to("),
    (":stored}", ", 'UTF8'))"),
    ("{literal:", "'\\x"),
    (":literal}", "'::bytea"),
];

/// The digest of [`digest`] as it is stored.
pub(crate) fn stored(number: &str, kind: char) -> String {
    format!("{{stored:{}:stored}}", hash(number, kind))
}

/// A digest that is known as it is stored.
pub(crate) fn literal(digest: &str) -> String {
    let hash = digest.strip_prefix("sha256:").unwrap_or(digest);
    format!("{{literal:01{hash}:literal}}")
}

/// References of rows to rows hold by construction, and are not looked up one by one.
const POSTGRES_BEFORE: &str =
    "set session_replication_role = replica; set synchronous_commit = off;
set maintenance_work_mem = '256MB';";

/// As autovacuum leaves it, and with identities beyond what is there.
const POSTGRES_AFTER: &str = "
select setval(pg_get_serial_sequence('project', 'id'), (select max(id) from project));
select setval(pg_get_serial_sequence('repository', 'id'), (select max(id) from repository));
select setval(pg_get_serial_sequence('blob', 'id'), (select max(id) from blob));
select setval(pg_get_serial_sequence('manifest', 'id'), (select max(id) from manifest));
vacuum analyze; checkpoint;";

const SQLITE_BEFORE: &str =
    "pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -1000000;";

fn projects(size: Size) -> String {
    format!(
        "insert into project (id, name, owner_id, public, storage_limit, created_at, updated_at)
         select {FIRST_ID} + value, 'scale-' || {name}, 1, case when value >= {public} then 1 else 0 end, -1, {THEN}, {THEN}
         from {series};
         insert into project_usage (project_id, shard, used, room) select {FIRST_ID} + value, shard, 0, {UNLIMITED}
         from {series} cross join (select value as shard from {shards}) shards;
         insert into member (project_id, principal_id, role, created_at) select {FIRST_ID} + value, 1, 1, {THEN} from {series};",
        name = padded("value", 4),
        public = size.first_public(),
        series = series(size.projects()),
        shards = series(SHARDS),
    )
}

fn repositories(size: Size) -> String {
    let project = format!(
        "(case when value < {first} then 0 else 1 + (value - {first}) / 100 end)",
        first = size.first_project()
    );
    format!(
        "insert into repository (id, project_id, name, published, artifacts, created_at, updated_at)
         select {FIRST_ID} + value, {FIRST_ID} + {project}, 'scale-' || {in_project} || '/r' || {name}, 1, 0, {THEN}, {THEN}
         from {series};",
        in_project = padded(&project, 4),
        name = padded("value", 6),
        series = series(size.repositories),
    )
}

/// Their leases are over, and they were looked at since: a manifest names each.
fn blobs(size: Size) -> String {
    let series = series(size.tags());
    format!(
        "insert into blob (id, digest, object_key, size, owned, created_at)
         select {FIRST_ID} + value, {digest}, '480000/' || {key}, {bytes}, 1, {THEN} from {series};
         insert into repository_blob (repository_id, blob_id, lease_until, review_at)
         select {FIRST_ID} + {repository}, {FIRST_ID} + value, {THEN}, null from {series};",
        repository = repository_of(size),
        digest = stored("value", 'b'),
        key = padded_key("value"),
        bytes = bytes("value"),
    )
}

fn manifests(size: Size) -> String {
    let (config, layer) = (blob_of(size, "0"), blob_of(size, "1"));
    let payload = format!(
        "cast(
             '{{\"schemaVersion\":2,\"mediaType\":\"{MANIFEST}\",\"config\":{{\"mediaType\":\"{CONFIG}\",\"digest\":\"'
             || {config_digest} || '\",\"size\":' || {config_size}
             || '}},\"layers\":[{{\"mediaType\":\"{LAYER}\",\"digest\":\"' || {layer_digest} || '\",\"size\":' || {layer_size}
             || '}}]}}' as {{bytes}})",
        config_digest = digest(&config, 'b'),
        config_size = bytes(&config),
        layer_digest = digest(&layer, 'b'),
        layer_size = bytes(&layer),
    );
    format!(
        "insert into manifest (id, repository_id, digest, media_type, artifact_type, kind, config_type, annotations, size,
             pushed_at, config_digest, total_size, tagged, listed)
         select {FIRST_ID} + value, {FIRST_ID} + {repository}, {digest}, '{MANIFEST}', '{CONFIG}', 'IMAGE', '{CONFIG}', '{{}}', length({payload}), {THEN},
             {config_stored}, length({payload}) + {config_size} + {layer_size}, 1, 1 from {series};
         update repository set artifacts = (select count(*) from manifest m where m.repository_id = repository.id)
         where id >= {FIRST_ID};
         insert into manifest_payload (manifest_id, payload) select {FIRST_ID} + value, {payload} from {series};",
        repository = repository_of(size),
        digest = stored("value", 'a'),
        config_stored = stored(&config, 'b'),
        config_size = bytes(&config),
        layer_size = bytes(&layer),
        series = series(size.tags()),
    )
}

fn references(size: Size) -> String {
    let blob = blob_of(size, "position");
    format!(
        "insert into manifest_reference (manifest_id, position, repository_id, kind, digest, blob_id, size, media_type)
         select {FIRST_ID} + value, position, {FIRST_ID} + {repository}, 'blob', {digest}, {FIRST_ID} + {blob}, {bytes},
             case when position = 0 then '{CONFIG}' else '{LAYER}' end
         from {series} cross join (select 0 as position union select 1) positions;",
        repository = repository_of(size),
        digest = stored(&blob, 'b'),
        bytes = bytes(&blob),
        series = series(size.tags()),
    )
}

fn tags(size: Size) -> String {
    format!(
        "insert into tag (repository_id, name, manifest_id, pushed_at)
         select {FIRST_ID} + {repository}, 't' || {name}, {FIRST_ID} + value, {THEN} from {series};",
        repository = repository_of(size),
        name = padded(&tag_of(size), 6),
        series = series(size.tags()),
    )
}

/// Each blob is in one repository only.
fn charges() -> String {
    let charge = |bytes: &str, from: &str| {
        format!(
            "update project_usage set used = used + held.bytes, room = room - held.bytes from (
                 select r.project_id, cast(sum({bytes}) as bigint) as bytes from repository r {from} group by r.project_id) held
             where shard = 0 and project_usage.project_id = held.project_id and project_usage.project_id >= {FIRST_ID};"
        )
    };
    let blobs = "join repository_blob l on l.repository_id = r.id join blob b on b.id = l.blob_id";
    let manifests = "join manifest m on m.repository_id = r.id";
    [charge("b.size", blobs), charge("m.size", manifests)].join("\n")
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Some time in 2024, in microseconds: long before any grace time ends.
pub(crate) const THEN: &str = "1728000000000000";

/// Numbers from 0, in a column `value`.
pub(crate) fn series(count: u64) -> String {
    format!(
        "(select cast(value as bigint) as value from generate_series(0, {}) value) numbers",
        count - 1
    )
}

/// The repository of a number.
fn repository_of(size: Size) -> String {
    let crowd = size.crowd;
    format!("(case when value < {crowd} then 0 else 1 + (value - {crowd}) / 10 end)")
}

/// The number of a tag within its repository.
fn tag_of(size: Size) -> String {
    let crowd = size.crowd;
    format!("(case when value < {crowd} then value else (value - {crowd}) % 10 end)")
}

/// What a manifest names: its own blob, and its neighbour's.
fn blob_of(size: Size, position: &str) -> String {
    let (crowd, tag) = (size.crowd, tag_of(size));
    format!(
        "(value - {tag} + ({tag} + {position}) % (case when value < {crowd} then {crowd} else 10 end))"
    )
}

/// A number with leading zeros.
fn padded(number: &str, digits: u32) -> String {
    format!("substr(cast({} + {number} as text), 2)", 10u64.pow(digits))
}

/// The 40 digits of an object's name.
pub(crate) fn padded_key(number: &str) -> String {
    let zeros = "0".repeat(30);
    format!("'{zeros}' || {}", padded(number, 10))
}

/// The 32 bytes of a hash, which are text: different for each number and kind, and in no order, as real ones are.
fn hash(number: &str, kind: char) -> String {
    let middle = kind.to_string().repeat(13);
    format!(
        "({} || '{middle}' || {})",
        padded(&format!("({number} * 618033989) % 1000000000"), 9),
        padded(number, 10)
    )
}

/// A digest that is one in form.
pub(crate) fn digest(number: &str, kind: char) -> String {
    format!("'sha256:' || {{hex:{}:hex}}", hash(number, kind))
}

/// The same of a number that is known.
pub(crate) fn digest_of(number: u64, kind: char) -> String {
    let middle = kind.to_string().repeat(13);
    let mixed = number * 618_033_989 % 1_000_000_000;
    let hash = format!("{mixed:09}{middle}{number:010}");
    let hex: String = hash.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Bytes of a blob by its number.
pub(crate) fn bytes(number: &str) -> String {
    format!("(1024 + {number} % 997)")
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn every_repository_has_a_project() {
        let size = Size::MILLION;
        assert_eq!(size.projects(), 901);
        assert_eq!(size.repository(0), "scale-0000/r000000");
        assert_eq!(size.repository(9_999), "scale-0000/r009999");
        assert_eq!(size.repository(10_000), "scale-0001/r010000");
        assert_eq!(size.repository(99_999), "scale-0900/r099999");
        assert_eq!(size.tags(), 1_099_990);
    }
}
