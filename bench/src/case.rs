//! What a benchmark measures, by name, and which figures of it tell something.

/// One thing that is measured.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What the document says about it.
    pub(crate) title: &'static str,
    /// The columns of its table: head and figure.
    pub(crate) columns: &'static [Column],
}

pub(crate) const fn case(
    name: &'static str,
    title: &'static str,
    columns: &'static [Column],
) -> Case {
    Case {
        name,
        title,
        columns,
    }
}

/// The head of a column, and the figure that stands in it.
pub(crate) type Column = (&'static str, &'static str);

/// Requests: rate, CPU, latencies.
pub(crate) const REQUESTS: &[Column] = &[
    ("requests/s", "rate"),
    ("CPU s per 1,000", "cpu_per_1000"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    PEAK,
    OTHERS,
];

/// Bulk: throughput, and CPU by size.
pub(crate) const BULK: &[Column] = &[
    ("MB/s", "mb_per_s"),
    ("CPU s per GB", "cpu_per_gb"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    PEAK,
    OTHERS,
];

/// The highest resident memory.
pub(crate) const PEAK: Column = ("peak MiB", "peak_mib");
/// How busy the machine was with other work.
pub(crate) const OTHERS: Column = ("others", "foreign");
