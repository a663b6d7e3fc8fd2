//! Checks messages of a directory before the LDAP library sees them: the library recurses for each nested tag, waits
//! for a message of whatever length its header says, and panics on unexpected parts.
//!
//! Messages are BER (ITU-T X.690) as restricted by RFC 4511, section 5.1: lengths are definite, and tags have one byte.

use std::ops::Range;

/// Maximum bytes of a message. Active Directory itself accepts up to 10 MiB; an entry with the few attributes of a
/// person and thousands of groups has some 300 KiB.
pub(super) const LONGEST: usize = 1 << 20;
/// Maximum depth of nested tags. An entry has five levels, and the deepest answer in RFC 4511 six.
const DEEPEST: usize = 32;
/// Maximum tags of a message: each takes tens of bytes in memory.
const MOST_TAGS: usize = 100_000;

/// The first byte of a message, of a sequence within, and of primitives of the universal class.
const SEQUENCE: u8 = 0x30;
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;
/// The first byte of controls, and of what Active Directory sends in their place in a notice of disconnection.
const CONTROLS: u8 = 0xa0;
const MISPLACED_NAME: u8 = 0x8a;
/// The bit in a first byte for a tag that contains tags.
const CONSTRUCTED: u8 = 0x20;

/// The control with the position of a paged search (RFC 2696).
const PAGES: &[u8] = b"1.2.840.113556.1.4.319";

/// A message that is malformed, too long or too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

const NOT_SHAPED: Malformed = Malformed("a part of a message is not what LDAP has there");

type Result<T, E = Malformed> = std::result::Result<T, E>;

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The answer to a bind.
    Bound,
    /// A part of the answer to a search, or its end.
    Found,
    /// The answer to another operation.
    Extended,
    /// Unsolicited: the directory is about to close the connection (RFC 4511, section 4.4.1).
    Notice,
}

/// The length of the message that begins with these bytes; `None` if more bytes are needed to know it.
///
/// # Errors
/// When no message begins like this, or it is too long.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    if first != SEQUENCE {
        return Err(Malformed("this is no LDAP"));
    }
    let Some(&short) = bytes.get(1) else {
        return Ok(None);
    };
    let further = usize::from(short).saturating_sub(0x80);
    if short == 0x80 || further > 8 {
        return Err(Malformed("the length of a message is not understood"));
    }
    if bytes.len() < 2 + further {
        return Ok(None);
    }
    let (_, content) = header(bytes, 0)?;
    match content.end > LONGEST {
        true => Err(Malformed("a message is longer than 1 MiB")),
        false => Ok(Some(content.end)),
    }
}

/// The kind of a complete message. Texts in results that are not UTF-8, as old directories send them, are made ASCII in
/// place.
///
/// # Errors
/// When it is malformed.
pub(super) fn check(message: &mut [u8]) -> Result<Kind> {
    let whole = Tag::only(message)?;
    let mut count = 0;
    whole.walk(message, DEEPEST, &mut count)?;
    let parts = whole.parts(message)?;
    let (id, operation) = match &parts[..] {
        [id, operation] => (id, operation),
        [id, operation, last] if last.first == MISPLACED_NAME => (id, operation),
        [id, operation, controls] if controls.first == CONTROLS => {
            check_controls(message, controls)?;
            (id, operation)
        }
        _ => return Err(NOT_SHAPED),
    };
    id.expect(INTEGER)?;
    let kind = match operation.first {
        0x61 => Kind::Bound,
        0x64 | 0x65 | 0x73 | 0x79 => Kind::Found,
        0x78 if message[id.content.clone()].iter().all(|byte| *byte == 0) => Kind::Notice,
        0x78 => Kind::Extended,
        _ => return Err(NOT_SHAPED),
    };
    if matches!(operation.first, 0x61 | 0x65 | 0x78) {
        for text in check_result(message, operation)? {
            make_text(&mut message[text]);
        }
    }
    Ok(kind)
}

/// The code of a result (RFC 4511, section 4.1.9), and its text. The message must have been checked.
///
/// # Errors
/// When there is none.
pub(super) fn result(message: &[u8]) -> Result<(u32, String)> {
    let parts = Tag::only(message)?.parts(message)?;
    let parts = parts.get(1).ok_or(NOT_SHAPED)?.parts(message)?;
    let [code, _, text, ..] = &parts[..] else {
        return Err(NOT_SHAPED);
    };
    let digits = &message[code.content.clone()];
    let number = digits
        .iter()
        .fold(0, |sum, byte| (sum << 8) | u32::from(*byte));
    let text = String::from_utf8_lossy(&message[text.content.clone()]);
    Ok((number, text.into_owned()))
}

/// The parts of a result that are text.
fn check_result(message: &[u8], operation: &Tag) -> Result<Vec<Range<usize>>> {
    let parts = operation.parts(message)?;
    let [code, matched, text, further @ ..] = &parts[..] else {
        return Err(NOT_SHAPED);
    };
    code.expect(ENUMERATED)?;
    if !(1..=4).contains(&code.content.len()) {
        return Err(NOT_SHAPED);
    }
    let mut texts = Vec::new();
    for part in [matched, text] {
        part.expect(OCTETS)?;
        texts.push(part.content.clone());
    }
    for part in further {
        match part.number() {
            // Referrals.
            3 => {
                for address in part.parts(message)? {
                    texts.push(address.primitive()?);
                }
            }
            // The name of an operation, and two octet strings.
            10 => texts.push(part.primitive()?),
            7 | 11 => {
                part.primitive()?;
            }
            _ => {}
        }
    }
    Ok(texts)
}

/// Checks controls by RFC 4511, section 4.1.11.
fn check_controls(message: &[u8], controls: &Tag) -> Result<()> {
    for control in controls.parts(message)? {
        let parts = control.parts(message)?;
        let (name, value) = match &parts[..] {
            [name] => (name, None),
            [name, critical] if critical.first == BOOLEAN => (name, None),
            [name, value] => (name, Some(value)),
            [name, critical, value] if critical.first == BOOLEAN => (name, Some(value)),
            _ => return Err(NOT_SHAPED),
        };
        let is_empty_flag = |part: &Tag| part.first == BOOLEAN && part.content.is_empty();
        if parts.iter().any(is_empty_flag) {
            return Err(NOT_SHAPED);
        }
        let name = &message[name.primitive()?];
        if std::str::from_utf8(name).is_err() {
            return Err(NOT_SHAPED);
        }
        if let Some(value) = value {
            value.expect(OCTETS)?;
        }
        if name == PAGES {
            let value = value.ok_or(NOT_SHAPED)?;
            check_pages(&message[value.content.clone()])?;
        }
    }
    Ok(())
}

/// Checks the position of a paged search: a number, and bytes.
fn check_pages(value: &[u8]) -> Result<()> {
    let whole = Tag::only(value)?;
    whole.walk(value, DEEPEST, &mut 0)?;
    match &whole.parts(value)?[..] {
        [size, cookie] => size.expect(INTEGER).and(cookie.expect(OCTETS)),
        _ => Err(NOT_SHAPED),
    }
}

fn make_text(bytes: &mut [u8]) {
    if std::str::from_utf8(bytes).is_err() {
        let foreign = bytes.iter_mut().filter(|byte| !byte.is_ascii());
        foreign.for_each(|byte| *byte = b'?');
    }
}

/// A tag: its first byte, and where in the message its content is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    first: u8,
    content: Range<usize>,
}

impl Tag {
    /// The tag that makes up all of some bytes.
    fn only(bytes: &[u8]) -> Result<Self> {
        let (first, content) = header(bytes, 0)?;
        match content.end == bytes.len() {
            true => Ok(Self { first, content }),
            false => Err(NOT_SHAPED),
        }
    }

    /// Its number, of whatever class it is.
    fn number(&self) -> u8 {
        self.first & 0x1f
    }

    fn expect(&self, first: u8) -> Result<()> {
        match self.first == first {
            true => Ok(()),
            false => Err(NOT_SHAPED),
        }
    }

    /// The range of its content, which has no tags.
    fn primitive(&self) -> Result<Range<usize>> {
        match self.first & CONSTRUCTED {
            0 => Ok(self.content.clone()),
            _ => Err(NOT_SHAPED),
        }
    }

    /// The tags in its content.
    fn parts(&self, message: &[u8]) -> Result<Vec<Self>> {
        if self.first & CONSTRUCTED == 0 {
            return Err(NOT_SHAPED);
        }
        let mut parts = Vec::new();
        let mut at = self.content.start;
        while at < self.content.end {
            let (first, content) = header(&message[..self.content.end], at)?;
            at = content.end;
            if at > self.content.end {
                return Err(Malformed("a part of a message is longer than the whole"));
            }
            parts.push(Self { first, content });
        }
        Ok(parts)
    }

    /// Checks all tags in its content: each ends within its parent, and they are neither too many nor too deep.
    fn walk(&self, message: &[u8], deepest: usize, count: &mut usize) -> Result<()> {
        if self.first & CONSTRUCTED == 0 {
            return Ok(());
        }
        let Some(deepest) = deepest.checked_sub(1) else {
            return Err(Malformed("a message has tags more than 32 levels deep"));
        };
        let parts = self.parts(message)?;
        *count += parts.len();
        if *count > MOST_TAGS {
            return Err(Malformed("a message has more than 100000 tags"));
        }
        for part in parts {
            part.walk(message, deepest, count)?;
        }
        Ok(())
    }
}

/// The first byte of the tag that begins at a position, and the range of its content, which may end after the bytes do.
fn header(bytes: &[u8], at: usize) -> Result<(u8, Range<usize>)> {
    let cut = Malformed("a tag is cut");
    let (&first, &short) = bytes.get(at).zip(bytes.get(at + 1)).ok_or(cut)?;
    if first & 0x1f == 0x1f {
        return Err(Malformed("a tag has a number that LDAP does not use"));
    }
    let start = at + 2;
    if short < 0x80 {
        return Ok((first, start..start + usize::from(short)));
    }
    let further = usize::from(short - 0x80);
    let digits = bytes.get(start..start + further).ok_or(cut)?;
    if digits.is_empty() || further > 8 {
        return Err(Malformed("the length of a tag is not understood"));
    }
    let length = digits
        .iter()
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let long = Malformed("a message is longer than 1 MiB");
    let length = usize::try_from(length).map_err(|_| long)?;
    match length > LONGEST {
        true => Err(long),
        false => Ok((first, start + further..start + further + length)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A tag with its content.
    pub(in crate::ldap) fn tag(first: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        let header = match content.len() {
            0..0x80 => vec![first, length[3]],
            _ => [&[first, 0x84][..], &length].concat(),
        };
        [header, content.to_vec()].concat()
    }

    /// A message of an id with an operation.
    pub(in crate::ldap) fn message(id: u8, operation: &[u8]) -> Vec<u8> {
        tag(SEQUENCE, &[&tag(INTEGER, &[id]), operation].concat())
    }

    /// An operation that is a result: its first byte, its code and its text.
    pub(in crate::ldap) fn result_of(first: u8, code: u8, text: &[u8]) -> Vec<u8> {
        let parts = [
            tag(ENUMERATED, &[code]),
            tag(OCTETS, b""),
            tag(OCTETS, text),
        ];
        tag(first, &parts.concat())
    }

    /// Tags in tags in tags.
    pub(in crate::ldap) fn nested(levels: usize) -> Vec<u8> {
        (0..levels).fold(Vec::new(), |inner, _| tag(SEQUENCE, &inner))
    }

    fn judged(mut message: Vec<u8>) -> Result<Kind> {
        assert_eq!(length(&message), Ok(Some(message.len())));
        check(&mut message)
    }

    #[test]
    fn what_a_directory_answers_with_is_taken() {
        for (operation, kind) in [
            (result_of(0x61, 0, b""), Kind::Bound),
            (result_of(0x65, 4, b"too many"), Kind::Found),
            (result_of(0x78, 0, b""), Kind::Extended),
            (
                tag(0x64, &[tag(OCTETS, b"cn=x"), tag(SEQUENCE, b"")].concat()),
                Kind::Found,
            ),
            (tag(0x73, &tag(OCTETS, b"ldap://x")), Kind::Found),
        ] {
            assert_eq!(judged(message(1, &operation)), Ok(kind));
        }
        assert_eq!(
            judged(message(0, &result_of(0x78, 52, b""))),
            Ok(Kind::Notice)
        );
        let mut answer = message(1, &result_of(0x61, 49, b"no"));
        check(&mut answer).unwrap();
        assert_eq!(result(&answer), Ok((49, "no".to_owned())));
    }

    #[test]
    fn what_is_too_deep_too_long_or_has_too_many_tags_is_refused() {
        judged(message(1, &tag(0x64, &nested(29)))).unwrap();
        for levels in [40, 10_000] {
            let deep = message(1, &tag(0x64, &nested(levels)));
            assert!(judged(deep).unwrap_err().0.contains("levels"), "{levels}");
        }
        for header in [
            &[SEQUENCE, 0x84, 0x7f, 0xff, 0xff, 0xff][..],
            &[
                SEQUENCE, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
            &[SEQUENCE, 0x84, 0, 0x10, 0, 1],
        ] {
            assert!(length(header).unwrap_err().0.contains("1 MiB"));
        }
        let many = tag(0x64, &tag(OCTETS, b"").repeat(MOST_TAGS));
        assert!(judged(message(1, &many)).unwrap_err().0.contains("tags"));
    }

    #[test]
    fn what_would_end_the_library_is_refused() {
        let controls = |control: &[u8]| {
            let end = result_of(0x65, 0, b"");
            let controls = tag(CONTROLS, &tag(SEQUENCE, control));
            message(1, &[end, controls].concat())
        };
        let pages = tag(OCTETS, PAGES);
        let position = |value: &[u8]| [pages.clone(), tag(OCTETS, value)].concat();
        let whole = tag(
            SEQUENCE,
            &[tag(INTEGER, &[9]), tag(OCTETS, b"next")].concat(),
        );
        judged(controls(&position(&whole))).unwrap();
        judged(controls(&tag(OCTETS, b"1.2.3"))).unwrap();
        for bad in [
            controls(&pages),
            controls(&position(&nested(10_000))),
            controls(&position(b"")),
            controls(&position(&tag(OCTETS, b""))),
            controls(&[tag(OCTETS, b"1.2"), tag(BOOLEAN, b"")].concat()),
            controls(&tag(OCTETS, b"\xff")),
            controls(&tag(SEQUENCE, b"")),
            controls(b""),
            message(1, b""),
            message(1, &tag(0x61, b"")),
            message(1, &tag(0x41, b"")),
            message(1, &tag(0x65, &tag(ENUMERATED, &[0]))),
            message(1, &tag(0x6b, &tag(ENUMERATED, &[0]))),
            message(1, &result_of(OCTETS, 0, b"")),
            tag(SEQUENCE, &result_of(0x61, 0, b"")),
            tag(
                SEQUENCE,
                &[tag(OCTETS, b"1"), result_of(0x61, 0, b"")].concat(),
            ),
            tag(SEQUENCE, b""),
        ] {
            judged(bad.clone()).expect_err(&hex::encode(&bad[..bad.len().min(64)]));
        }
        // A length beyond what holds it, of which the library would wait for the rest.
        let mut beyond = message(1, &result_of(0x61, 0, b""));
        let last = beyond.len() - 1;
        beyond[last] = 9;
        check(&mut beyond).unwrap_err();
    }

    #[test]
    fn texts_of_old_directories_become_text() {
        let mut answer = message(1, &result_of(0x61, 49, b"Ung\xfcltig"));
        check(&mut answer).unwrap();
        assert_eq!(result(&answer).unwrap(), (49, "Ung?ltig".to_owned()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = length(&bytes);
            let _ = check(&mut bytes);
        }

        #[test]
        fn no_change_of_an_answer_makes_it_panic(at in 0_usize..60, byte: u8) {
            let mut answer = message(1, &result_of(0x65, 0, b"some text of a length"));
            if let Some(changed) = answer.get_mut(at) {
                *changed = byte;
            }
            let _ = length(&answer);
            if check(&mut answer).is_ok() {
                let _ = result(&answer);
            }
        }
    }
}
