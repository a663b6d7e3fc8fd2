//! `cargo xtask bench s3`: Gantry on PostgreSQL and S3 storage, beside distribution on the same S3
//! server and that server alone. How each case is measured stands in `s3/`.

mod bulk;
mod lock;
mod memory;
mod promise;
mod quota;
mod replica;
pub(super) mod stage;

use super::case::{BULK, Case, Column, OTHERS, PEAK, case};
use super::recorder::Recorder;
use super::result::Results;
use super::{Bench, Options};
use stage::Stage;

/// This benchmark.
pub(super) const BENCH: Bench = Bench {
    document: "docs/benchmarks-s3.md",
    cases: CASES,
    preface: promise::PREFACE,
    goals: promise::goals,
    run: run_all,
};

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("push", "Push of one blob of 512 MiB", ON_STORE),
    case("pull", "Blob GET, 256 MiB, streamed, one after the other", ON_STORE),
    case("pull-4", "Blob GET, 256 MiB, streamed, 4 connections", ON_STORE),
    case("commit", "Push of one blob of 5 GiB: from its last byte to the answer", COMMIT),
    case("replicas", "Manifest GET by tag, 64 connections, one replica and two behind a balancer", REPLICAS),
    case("quota", "200 pushes of 64 KiB at once into a project with room for 120", QUOTA),
    case("quota-cpu", "Pushes of 64 KiB by 200 clients at once, with room for all", PUSHES),
    case("memory", "64 pushes and 64 pulls of 256 MiB at once", BULK),
];

const ON_STORE: &[Column] = &[
    ("MB/s", "mb_per_s"),
    ("CPU s per GB", "cpu_per_gb"),
    ("SeaweedFS's CPU s per GB", "behind_per_gb"),
    PEAK,
    OTHERS,
];

const COMMIT: &[Column] = &[
    ("ms to the answer", "commit_ms"),
    ("MB/s", "mb_per_s"),
    ("CPU s per GB", "cpu_per_gb"),
    ("SeaweedFS's CPU s per GB", "behind_per_gb"),
    PEAK,
    OTHERS,
];

const REPLICAS: &[Column] = &[
    ("requests/s", "rate"),
    ("CPU s per 1,000", "cpu_per_1000"),
    ("PostgreSQL's CPU s per 1,000", "behind_per_1000"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    ("lock waits seen", "lock_waits"),
    ("looks", "lock_looks"),
];

const QUOTA: &[Column] = &[
    ("pushed", "accepted"),
    ("refused with 403 DENIED", "refused"),
    ("bytes charged beyond what is there", "excess_bytes"),
];

const PUSHES: &[Column] = &[
    ("pushes/s", "rate"),
    ("CPU s per 1,000, with PostgreSQL's", "all_per_1000"),
    ("Gantry's alone", "cpu_per_1000"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    OTHERS,
];

/// How much of each is done.
#[derive(Clone, Copy)]
struct Scale {
    push: u64,
    pull: u64,
    commit: u64,
    seconds: u32,
    /// How often locks are looked at meanwhile, at least.
    looks: u32,
    /// How often each of the 200 clients pushes in one measurement.
    waves: usize,
    streams: usize,
    stream_size: u64,
}

impl Scale {
    const FULL: Self = Self {
        push: 512 << 20,
        pull: 256 << 20,
        commit: 5 << 30,
        seconds: 8,
        looks: 32,
        waves: 10,
        streams: 64,
        stream_size: 256 << 20,
    };
    const SHORT: Self = Self {
        push: 32 << 20,
        pull: 32 << 20,
        commit: 64 << 20,
        seconds: 1,
        looks: 1,
        waves: 1,
        streams: 8,
        stream_size: 16 << 20,
    };
}

struct Run<'a> {
    options: &'a Options,
    scale: Scale,
    stage: &'a Stage,
    recorder: Recorder<'a>,
}

/// Runs the chosen cases.
fn run_all(options: &Options) -> Result<Results, String> {
    let stage = Stage::start(options)?;
    let mut run = Run {
        options,
        scale: if options.short {
            Scale::SHORT
        } else {
            Scale::FULL
        },
        stage: &stage,
        recorder: Recorder::new(options),
    };
    run.push()?;
    run.pull()?;
    run.commit()?;
    run.replicas()?;
    run.quota()?;
    run.quota_cpu()?;
    run.memory()?;
    Ok(run.recorder.results)
}
