//! Settings of projects, as Harbor names them. Whether a project is public is not among them: that is a fact of its own.

/// A setting of a project and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectSetting {
    /// Whether a bill of materials is made of what is pushed.
    AutoSbomGeneration(bool),
    /// Whether what is pushed is scanned.
    AutoScan(bool),
    /// Whether only what is signed with Notary may be pulled.
    ContentTrust(bool),
    /// Whether only what is signed with cosign may be pulled.
    ContentTrustCosign(bool),
    /// Whether what is vulnerable may not be pulled.
    PreventVulnerable(bool),
    /// Whether the installation's exceptions from vulnerability rules hold.
    ReuseSystemAllowlist(bool),
    /// From which severity on something counts as vulnerable.
    Severity(Severity),
}

/// How bad a vulnerability is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Harbor's `negligible` as well.
    None,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl ProjectSetting {
    /// Harbor's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AutoSbomGeneration(_) => "auto_sbom_generation",
            Self::AutoScan(_) => "auto_scan",
            Self::ContentTrust(_) => "enable_content_trust",
            Self::ContentTrustCosign(_) => "enable_content_trust_cosign",
            Self::PreventVulnerable(_) => "prevent_vul",
            Self::ReuseSystemAllowlist(_) => "reuse_sys_cve_allowlist",
            Self::Severity(_) => "severity",
        }
    }

    /// The value as Harbor writes it.
    pub const fn value(self) -> &'static str {
        match self {
            Self::AutoSbomGeneration(on)
            | Self::AutoScan(on)
            | Self::ContentTrust(on)
            | Self::ContentTrustCosign(on)
            | Self::PreventVulnerable(on)
            | Self::ReuseSystemAllowlist(on) => {
                if on {
                    "true"
                } else {
                    "false"
                }
            }
            Self::Severity(severity) => severity.name(),
        }
    }
}

impl Severity {
    /// All of them, the mildest first.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    /// Harbor's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The one with a name of Harbor's.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "negligible" => Some(Self::None),
            _ => Self::ALL
                .into_iter()
                .find(|severity| severity.name() == name),
        }
    }
}
