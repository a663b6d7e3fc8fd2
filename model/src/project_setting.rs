//! Settings of projects, with Harbor's names. Whether a project is public is not one of them.

/// A setting of a project and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectSetting {
    /// Whether an SBOM is generated for pushed images.
    AutoSbomGeneration(bool),
    /// Whether pushed images are scanned.
    AutoScan(bool),
    /// Whether only images signed with Notary may be pulled.
    ContentTrust(bool),
    /// Whether only images signed with cosign may be pulled.
    ContentTrustCosign(bool),
    /// Whether vulnerable images cannot be pulled.
    PreventVulnerable(bool),
    /// Whether the installation's CVE allowlist applies.
    ReuseSystemAllowlist(bool),
    /// The severity from which an image counts as vulnerable.
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
    /// The setting of Harbor's name and value; `None` where there is no such one.
    pub fn parse(name: &str, value: &str) -> Option<Self> {
        if name == "severity" {
            return Severity::from_name(value).map(Self::Severity);
        }
        let on = value.parse().ok()?;
        let flags = [
            Self::AutoSbomGeneration(on),
            Self::AutoScan(on),
            Self::ContentTrust(on),
            Self::ContentTrustCosign(on),
            Self::PreventVulnerable(on),
            Self::ReuseSystemAllowlist(on),
        ];
        flags.into_iter().find(|setting| setting.name() == name)
    }

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
    /// All of them, mildest first.
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

    /// The severity with Harbor's name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "negligible" => Some(Self::None),
            _ => Self::ALL
                .into_iter()
                .find(|severity| severity.name() == name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_read_as_it_is_written() {
        for setting in [
            ProjectSetting::AutoScan(true),
            ProjectSetting::ReuseSystemAllowlist(false),
            ProjectSetting::Severity(Severity::High),
        ] {
            let read = ProjectSetting::parse(setting.name(), setting.value());
            assert_eq!(read, Some(setting));
        }
        for (name, value) in [("public", "true"), ("auto_scan", "yes"), ("severity", "")] {
            assert_eq!(ProjectSetting::parse(name, value), None, "{name}");
        }
    }
}
