//! The first password of `admin`, if one is given: from a file, else from the environment.

use std::path::Path;

use tenancy::password::NewPassword;

use super::Config;

/// The setting that names the file.
const KEY: &str = "[secrets] admin_password_file";
/// The variable that holds a password if no file is named.
const VARIABLE: &str = "GANTRY_ADMIN_PASSWORD";

impl Config {
    /// The first password of `admin`, if one was given.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(crate) fn admin_password(&self) -> Result<Option<NewPassword>, String> {
        match self.secrets.admin_password_file.as_str() {
            "" => std::env::var_os(VARIABLE)
                .map(|given| checked(VARIABLE, given.into_string().ok()))
                .transpose(),
            file => from_file(file.as_ref()).map(Some),
        }
    }
}

fn from_file(file: &Path) -> Result<NewPassword, String> {
    let origin = format!("{KEY}: {}", file.display());
    match std::fs::read(file) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).ok();
            checked(&origin, text.map(|text| text.trim_end().to_owned()))
        }
        Err(error) => Err(format!(
            "{origin} cannot be read: {error}: name a file that this user may read, or, where `admin` has a password, \
             none"
        )),
    }
}

/// The password in a text, if it satisfies the rule.
fn checked(origin: &str, given: Option<String>) -> Result<NewPassword, String> {
    let password =
        given.ok_or_else(|| format!("{origin} is not UTF-8: write a password as text"))?;
    if password.is_empty() {
        return Err(format!(
            "{origin} is empty: write the first password of `admin`"
        ));
    }
    NewPassword::try_from(password)
        .map_err(|why| format!("{origin}, the first password of `admin`, is too weak: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_file_is_named_with_key_path_and_fix() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let mut config = Config::default();
        config.secrets.admin_password_file = file.display().to_string();
        let missing = config.admin_password().unwrap_err();
        assert!(missing.contains("No such file"), "{missing}");
        for (content, expected) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"\xff", "is not UTF-8"),
            (b"password", "too weak"),
        ] {
            std::fs::write(&file, content).unwrap();
            let wrong = config.admin_password().unwrap_err();
            let named = format!("{KEY}: {}", file.display());
            assert!(wrong.starts_with(&named), "{wrong}");
            assert!(wrong.contains(expected), "{wrong}");
        }
        std::fs::write(&file, "Harbor12345\n").unwrap();
        let given = config.admin_password().unwrap().unwrap();
        assert_eq!(given.expose(), "Harbor12345");
    }
}
