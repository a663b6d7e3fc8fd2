//! Rows of a subject with many referrers, or of a manifest with many tags, as pushes would have left them: each
//! referrer has a layer of its own, all share one config. Their objects are not there.

use std::thread;
use std::time::{Duration, Instant};

use crate::load::deletion;
use crate::scale::seed::{
    CONFIG, FIRST_ID, LAYER, MANIFEST, THEN, bytes, digest, digest_of, in_dialect, literal,
    padded_key, series, stored,
};
use crate::stage::Stage;

/// How long what was deleted may take to be gone.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Between two looks.
const POLL: Duration = Duration::from_millis(500);

/// What hangs on a manifest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::gc) enum Kind {
    /// Untagged referrers.
    Subject,
    Tagged,
}

impl Kind {
    /// What it is called in the document.
    pub(in crate::gc) fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject with referrers",
            Self::Tagged => "manifest with tags",
        }
    }

    /// The letter in its digest.
    fn letter(self) -> char {
        match self {
            Self::Subject => SUBJECTS,
            Self::Tagged => TAGGED,
        }
    }
}

/// The repository that they are in, and how many there were.
pub(super) struct Place<'a> {
    stage: &'a Stage<'a>,
    repository: u64,
    /// The number of the next blob, and of the next manifest.
    next: u64,
}

/// A manifest by its number, which its referrers or tags count up from.
pub(super) struct Doomed {
    kind: Kind,
    number: u64,
    count: u64,
}

/// Beyond the numbers of garbage.
const FIRST_NUMBER: u64 = 1_000_000_000;
const SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const MANIFEST_COLUMNS: &str = "insert into manifest
    (repository_id, digest, media_type, artifact_type, kind, config_type, subject, annotations, size, pushed_at,
    total_size, tagged, listed)";
/// Kinds of digests; those of `scale::seed` and of garbage are others.
const SUBJECTS: char = 'd';
const TAGGED: char = 'f';
const BLOBS: char = 'e';

impl Doomed {
    /// What is deleted, and what must be gone then: the first and the last of what hangs on it.
    pub(super) fn gone(&self) -> deletion::Doomed {
        let ends = [self.number + 1, self.number + self.count];
        deletion::Doomed {
            digest: digest_of(self.number, self.kind.letter()),
            others: ends.map(|number| match self.kind {
                Kind::Subject => digest_of(number, SUBJECTS),
                Kind::Tagged => tag(number),
            }),
        }
    }

    /// How many rows of manifests and of tags it is.
    fn rows(&self) -> (u64, u64) {
        match self.kind {
            Kind::Subject => (self.count + 1, 0),
            Kind::Tagged => (1, self.count),
        }
    }

    /// How many blobs it names, and what hangs on it.
    fn blobs(&self) -> u64 {
        match self.kind {
            Kind::Subject => self.count + 1,
            Kind::Tagged => 2,
        }
    }
}

fn tag(number: u64) -> String {
    format!("v{number:040}")
}

impl<'a> Place<'a> {
    /// A repository of the first project that is there already.
    pub(super) fn find(stage: &'a Stage<'a>, name: &str) -> Result<Self, String> {
        let id = stage.sql(&format!(
            "select id from repository where name = '{name}' and deleted_at is null and project_id = {FIRST_ID};"
        ))?;
        Ok(Self {
            stage,
            repository: id.parse().map_err(|_| format!("there is no {name}"))?,
            next: FIRST_NUMBER,
        })
    }

    /// Makes a manifest with so many referrers or tags.
    pub(super) fn make(&mut self, kind: Kind, count: u64) -> Result<Doomed, String> {
        let doomed = Doomed {
            kind,
            number: self.next,
            count,
        };
        self.next += count + 2;
        let last = self.last_manifest()?;
        let before = if self.stage.is_postgres() {
            ""
        } else {
            "pragma foreign_keys = on;"
        };
        let rows = Rows {
            repository: self.repository,
            doomed: &doomed,
        };
        let hanging = match kind {
            Kind::Subject => [rows.referrers(), rows.references(count + 1)],
            Kind::Tagged => [rows.references(1), rows.tags()],
        };
        let tables = [
            rows.blobs(),
            rows.image(),
            hanging.join("\n"),
            rows.charge(&last),
        ];
        let tables = in_dialect(self.stage, &tables.join("\n"));
        let statements = format!("{before}\nbegin;\n{tables}\ncommit;");
        self.stage.sql(&statements)?;
        Ok(doomed)
    }

    fn last_manifest(&self) -> Result<String, String> {
        self.stage.sql("select coalesce(max(id), 0) from manifest;")
    }

    /// Fails unless all of their manifests and tags are there, and nothing of others.
    pub(super) fn expect(&self, doomed: &[Doomed]) -> Result<(), String> {
        let rows = self.stage.sql(&format!(
            "select count(*) from manifest where repository_id = {id} and pushed_at = {THEN};
             select count(*) from tag where repository_id = {id} and pushed_at = {THEN};",
            id = self.repository
        ))?;
        let (manifests, tags): (Vec<u64>, Vec<u64>) = doomed.iter().map(Doomed::rows).unzip();
        let sum = |of: Vec<u64>| of.iter().sum::<u64>();
        let expected = format!("{}\n{}", sum(manifests), sum(tags));
        if rows == expected {
            return Ok(());
        }
        Err(format!(
            "manifests and tags: {rows:?}, expected {expected:?}"
        ))
    }

    /// Waits until nothing is left of what was deleted.
    pub(super) fn wait_until_gone(&self) -> Result<(), String> {
        let end = Instant::now() + LONGEST;
        loop {
            match self.expect(&[]) {
                Err(left) if Instant::now() > end => return Err(left),
                Err(_) => thread::sleep(POLL),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// What earlier rounds left to do is done, so that all windows begin alike.
    pub(super) fn settle(&self) -> Result<(), String> {
        let settle = if self.stage.is_postgres() {
            "vacuum analyze blob, repository_blob, manifest, manifest_reference, tag; checkpoint;"
        } else {
            "pragma wal_checkpoint(passive);"
        };
        self.stage.sql(settle).map(drop)
    }
}

/// The statements that make one.
struct Rows<'a> {
    repository: u64,
    doomed: &'a Doomed,
}

impl Rows<'_> {
    /// One for the config and one for each layer.
    fn blobs(&self) -> String {
        let (repository, number) = (self.repository, self.numbered("value"));
        format!(
            "insert into blob (digest, object_key, size, owned, created_at)
             select {digest}, '480000/' || {key}, {bytes}, 1, {THEN} from {series};
             insert into repository_blob (repository_id, blob_id, lease_until, review_at)
             select {repository}, id, {THEN}, null from blob where {ours};",
            digest = stored(&number, BLOBS),
            key = padded_key(&number),
            bytes = bytes(&number),
            series = series(self.doomed.blobs()),
            ours = self.our_blobs(),
        )
    }

    fn our_blobs(&self) -> String {
        let first = self.doomed.number;
        let last = first + self.doomed.blobs() - 1;
        format!("object_key between '480000/{first:040}' and '480000/{last:040}'")
    }

    /// The manifest that is deleted.
    fn image(&self) -> String {
        let digest = literal(&self.digest());
        let payload = self.payload(CONFIG, "''");
        format!(
            "{MANIFEST_COLUMNS}
             select {repository}, {digest}, '{MANIFEST}', '{CONFIG}', 'IMAGE', '{CONFIG}', null, '{{}}', length({payload}), {THEN}, length({payload}), {tagged}, 1
             from {series};
             update repository set artifacts = artifacts + 1 where id = {repository};
             {payloads}",
            repository = self.repository,
            tagged = match self.doomed.kind {
                Kind::Subject => 0,
                Kind::Tagged => 1,
            },
            series = series(1),
            payloads = self.payloads(&digest, &payload, &series(1)),
        )
    }

    /// After the subject, whose size they state.
    fn referrers(&self) -> String {
        let (repository, subject) = (self.repository, self.digest());
        let stored_subject = literal(&subject);
        let size = format!(
            "(select size from manifest where repository_id = {repository} and digest = {stored_subject})"
        );
        let names_it = format!(
            "',\"subject\":{{\"mediaType\":\"{MANIFEST}\",\"digest\":\"{subject}\",\"size\":' || {size} || '}}'"
        );
        let digest = stored(&self.numbered("value"), SUBJECTS);
        let payload = self.payload(SIGNATURE, &names_it);
        let series = format!(
            "{} where value > 0",
            series(self.doomed.count + 1).replace("numbers", "all_numbers")
        );
        let series = format!("(select value from {series}) numbers");
        format!(
            "{MANIFEST_COLUMNS}
             select {repository}, {digest}, '{MANIFEST}', '{SIGNATURE}', 'UNKNOWN', '{SIGNATURE}', {stored_subject}, '{{}}', length({payload}), {THEN},
                 length({payload}), 0, 0 from {series};
             insert into accessory (manifest_id, repository_id, subject, type)
             select m.id, {repository}, {stored_subject}, 'signature.cosign' from manifest m
             where m.repository_id = {repository} and m.subject = {stored_subject} and m.deleted_at is null;
             {payloads}",
            payloads = self.payloads(&digest, &payload, &series),
        )
    }

    /// The payloads of manifests that were made from the same numbers.
    fn payloads(&self, digest: &str, payload: &str, series: &str) -> String {
        format!(
            "insert into manifest_payload (manifest_id, payload)
             select m.id, {payload} from {series} cross join manifest m
             where m.repository_id = {} and m.digest = {digest} and m.deleted_at is null;",
            self.repository
        )
    }

    fn payload(&self, config: &str, subject: &str) -> String {
        let descriptor = |media_type: &str, position: &str| {
            let blob = self.blob_at(position);
            format!(
                "'{{\"mediaType\":\"{media_type}\",\"digest\":\"' || {} || '\",\"size\":' || {} || '}}'",
                digest(&blob, BLOBS),
                bytes(&blob)
            )
        };
        format!(
            "cast('{{\"schemaVersion\":2,\"mediaType\":\"{MANIFEST}\",\"config\":' || {} || ',\"layers\":[' || {} || ']' || {subject} || '}}' as {{bytes}})",
            descriptor(config, "0"),
            descriptor(LAYER, "1"),
        )
    }

    /// In this order: SQLite would rather walk all manifests of the repository for each number.
    fn references(&self, manifests: u64) -> String {
        let repository = self.repository;
        format!(
            "insert into manifest_reference (manifest_id, position, repository_id, kind, digest, blob_id, size, media_type)
             select m.id, position, {repository}, 'blob', b.digest, b.id, b.size,
                 case when position = 1 then '{LAYER}' when value = 0 then '{CONFIG}' else '{SIGNATURE}' end
             from {series} cross join (select 0 as position union select 1) positions
             cross join manifest m cross join blob b
             where m.repository_id = {repository} and m.digest = {manifest} and m.deleted_at is null and b.digest = {blob};",
            series = series(manifests),
            manifest = stored(&self.numbered("value"), self.doomed.kind.letter()),
            blob = stored(&self.blob_at("position"), BLOBS),
        )
    }

    fn tags(&self) -> String {
        let repository = self.repository;
        format!(
            "insert into tag (repository_id, name, manifest_id, pushed_at)
             select {repository}, 'v' || {name}, m.id, {THEN} from {series} cross join manifest m
             where value > 0 and m.repository_id = {repository} and m.digest = {digest} and m.deleted_at is null;",
            name = padded_key(&self.numbered("value")),
            series = series(self.doomed.count + 1),
            digest = literal(&self.digest()),
        )
    }

    /// For its blobs, and for manifests that are newer than the last one before it.
    fn charge(&self, last: &str) -> String {
        let bytes = format!(
            "(select cast(sum(size) as bigint) from (
                 select size from blob where {}
                 union all select size from manifest where repository_id = {} and id > {last}) held)",
            self.our_blobs(),
            self.repository
        );
        format!(
            "update project_usage set used = used + {bytes}, room = room - {bytes} where project_id = {FIRST_ID} and shard = 0;"
        )
    }

    fn digest(&self) -> String {
        digest_of(self.doomed.number, self.doomed.kind.letter())
    }

    fn numbered(&self, value: &str) -> String {
        format!("({} + {value})", self.doomed.number)
    }

    /// The number of the blob that a manifest names: all have the config of the first.
    fn blob_at(&self, position: &str) -> String {
        self.numbered(&format!(
            "(case when {position} = 0 then 0 when value = 0 then 1 else value end)"
        ))
    }
}
