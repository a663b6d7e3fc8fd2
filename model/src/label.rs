//! Labels, which mark artifacts: of the whole installation, or of a project.

use std::fmt;
use std::str::FromStr;

/// A label's name: 1 to 128 characters, none of which is a control character.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LabelName(String);

/// Why a label is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabel {
    /// The name.
    #[error("name: must have 1 to 128 characters, none of which is a control character")]
    Name,
    /// The description.
    #[error("description: must have at most 1024 characters")]
    Description,
    /// The color.
    #[error("color: must be #RGB or #RRGGBB in hexadecimal digits, or empty")]
    Color,
}

impl LabelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LabelName {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        let length = text.chars().count();
        let valid = (1..=128).contains(&length)
            && !text.trim().is_empty()
            && !text.contains(char::is_control);
        valid
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidLabel::Name)
    }
}

impl fmt::Display for LabelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The content of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLabel {
    /// Its name.
    pub name: LabelName,
    /// What it means.
    pub description: String,
    /// Its color: `#RRGGBB`, or empty.
    pub color: String,
}

impl NewLabel {
    /// A label of these texts.
    ///
    /// # Errors
    /// Which of them is not valid.
    pub fn new(name: &str, description: String, color: String) -> Result<Self, InvalidLabel> {
        if description.chars().count() > 1_024 {
            return Err(InvalidLabel::Description);
        }
        if !is_color(&color) {
            return Err(InvalidLabel::Color);
        }
        Ok(Self {
            name: name.parse()?,
            description,
            color,
        })
    }
}

fn is_color(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('#') else {
        return text.is_empty();
    };
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_no_label_can_be_is_named() {
        let new = |name: &str, description: &str, color: &str| {
            NewLabel::new(name, description.to_owned(), color.to_owned()).err()
        };
        assert_eq!(new("Grün ✓", "d", "#0f0"), None);
        assert_eq!(new(&"ü".repeat(128), "", "#00FF00"), None);
        assert_eq!(new("a", "", ""), None);
        for name in ["", " ", "a\nb", &"ü".repeat(129)] {
            assert_eq!(new(name, "", ""), Some(InvalidLabel::Name), "{name:?}");
        }
        for color in ["red", "#12", "#gggggg", "#0f0;background:url(x)"] {
            assert_eq!(new("a", "", color), Some(InvalidLabel::Color), "{color}");
        }
        let long = "d".repeat(1_025);
        assert_eq!(new("a", &long, ""), Some(InvalidLabel::Description));
    }

    proptest! {
        #[test]
        fn a_valid_name_prints_back_unchanged(text in "[a-z✓ ]{0,20}[a-z]") {
            prop_assert_eq!(text.parse::<LabelName>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = text.parse::<LabelName>();
        }
    }
}
