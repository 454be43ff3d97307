//! Takes secrets out of lines before they are kept (THREATS 21).

/// Shorter secrets would shred every line and protect nobody.
const SHORTEST: usize = 3;

/// A secret's beginning of this length counts as the secret: programs cut long lines.
const PREFIX: usize = 8;

const MASK: &str = "****";

/// `line` with every secret replaced by `****`: as it is, percent-encoded in whole or in part, and cut off after at
/// least eight characters.
pub fn redact(line: &str, secrets: &[impl AsRef<str>]) -> String {
    let bytes = line.as_bytes();
    let mut kept = String::with_capacity(line.len());
    let mut at = 0;
    while at < bytes.len() {
        let longest = secrets.iter().filter_map(|secret| secret_at(&bytes[at..], secret.as_ref().as_bytes())).max();
        match longest {
            Some(length) => {
                kept.push_str(MASK);
                at += length;
            }
            None => {
                let width = line[at..].chars().next().map_or(1, char::len_utf8);
                kept.push_str(&line[at..at + width]);
                at += width;
            }
        }
    }
    kept
}

/// How many bytes of `text`'s beginning spell the secret, or enough of its beginning.
fn secret_at(text: &[u8], secret: &[u8]) -> Option<usize> {
    if secret.len() < SHORTEST {
        return None;
    }
    let (mut at, mut matched) = (0, 0);
    while matched < secret.len() {
        match spelled(&text[at..]) {
            Some((byte, width)) if byte == secret[matched] => {
                at += width;
                matched += 1;
            }
            // A percent sign of the secret itself may stand raw before two hex digits.
            _ if text.get(at) == Some(&secret[matched]) => {
                at += 1;
                matched += 1;
            }
            _ => break,
        }
    }
    (matched == secret.len() || matched >= PREFIX).then_some(at)
}

/// The byte that the text begins with, and how long its spelling is.
fn spelled(text: &[u8]) -> Option<(u8, usize)> {
    if let [b'%', high, low, ..] = text
        && let (Some(high), Some(low)) = ((*high as char).to_digit(16), (*low as char).to_digit(16))
    {
        return Some(((high * 16 + low) as u8, 3));
    }
    text.first().map(|byte| (*byte, 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_of_a_secret_is_masked() {
        let secrets = ["abcd-ef/gh?x=1&y", "sid"];
        for (line, expected) in [
            ("rtmp://h/live/abcd-ef/gh?x=1&y: Broken pipe", "rtmp://h/live/****: Broken pipe"),
            ("abcd-ef%2Fgh%3Fx%3D1%26y.", "****."),
            ("abcd-ef%2fgh%3fx%3d1%26y.", "****."),
            ("%61%62%63%64%2D%65%66%2F%67%68%3F%78%3D%31%26%79.", "****."),
            ("cut: abcd-ef/g", "cut: ****"),
            ("cut: abcd-ef%2Fg...", "cut: ****..."),
            ("abcd-ef", "abcd-ef"),
            ("sid sid", "**** ****"),
            ("ünïcode abcd-ef/gh?x=1&y ü", "ünïcode **** ü"),
            ("", ""),
        ] {
            assert_eq!(redact(line, &secrets), expected);
        }
        assert_eq!(redact("a%41b", &["a%41b"]), "****");
        assert_eq!(redact("nothing", &Vec::<String>::new()), "nothing");
        assert_eq!(redact("ab", &["ab"]), "ab");
    }

    proptest! {
        #[test]
        fn a_secret_never_survives(
            before in ".{0,20}", after in ".{0,20}", secret in "[!-~]{3,40}", encode in proptest::collection::vec(any::<bool>(), 40),
        ) {
            let spelled: String = secret.bytes().zip(encode)
                .map(|(byte, encode)| if encode { format!("%{byte:02X}") } else { (byte as char).to_string() })
                .collect();
            let line = format!("{before}{spelled}{after}");
            let kept = redact(&line, &[&secret]);
            prop_assert!(kept.contains(MASK));
            prop_assert!(spelled.contains(MASK) || !kept.replace(MASK, "\0").contains(&spelled));
        }
    }
}
