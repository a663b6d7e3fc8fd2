//! The program that a request comes from, as the history keeps it.

use std::net::IpAddr;
use std::sync::Arc;

/// Maximum characters of a user agent that are kept.
const LONGEST_AGENT: usize = 255;

/// The address and the user agent of a program. Both are missing for the machine itself, and where the history leaves
/// them out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client {
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its user agent, on one line.
    pub agent: Option<Arc<str>>,
}

impl Client {
    /// The client at an address, whose user agent may be empty.
    pub fn new(address: IpAddr, agent: &str) -> Self {
        Self {
            address: Some(address),
            agent: (!agent.is_empty()).then(|| on_one_line(agent)),
        }
    }

    /// A client of which nothing else is known.
    pub const fn at(address: Option<IpAddr>) -> Self {
        Self {
            address,
            agent: None,
        }
    }
}

fn on_one_line(agent: &str) -> Arc<str> {
    let is_plain = agent.len() <= LONGEST_AGENT && !agent.contains(char::is_control);
    if is_plain {
        return agent.into();
    }
    let visible = |letter: char| match letter.is_control() {
        true => '\u{fffd}',
        false => letter,
    };
    let kept: String = agent.chars().take(LONGEST_AGENT).map(visible).collect();
    kept.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_plain_agent_is_kept_as_it_is() {
        let agent = "docker/27.0 go/1.22 (linux) \"old\"";
        assert_eq!(Client::new(HOME, agent).agent.as_deref(), Some(agent));
        assert_eq!(Client::new(HOME, ""), Client::at(Some(HOME)));
    }

    proptest! {
        #[test]
        fn an_agent_is_short_and_on_one_line(agent in "\\PC{0,9}[\\x00-\\x1f]{0,3}.{0,400}") {
            let kept = Client::new(HOME, &agent).agent.unwrap_or_default();
            prop_assert!(kept.chars().count() <= LONGEST_AGENT);
            prop_assert!(!kept.contains(char::is_control));
        }
    }
}
