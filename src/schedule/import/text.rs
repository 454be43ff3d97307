//! What our own files say in cells that no person invents: exceptions and targets.

use jiff::civil::DateTime;

use super::super::{Becomes, Exception};
use crate::live::Target;
use crate::text::Message;

/// Occurrences that were changed by hand, one a line: `2027-01-04T04:30:00 cancelled`, `2027-01-05T04:30:00 at
/// 2027-01-05T05:00:00 for 3600`.
pub(crate) fn exceptions_text(exceptions: &[Exception]) -> String {
    let lines = exceptions.iter().map(|exception| match exception.becomes {
        Becomes::Cancelled => format!("{} cancelled", exception.of),
        Becomes::Changed { starts_at, duration: None } => format!("{} at {starts_at}", exception.of),
        Becomes::Changed { starts_at, duration: Some(seconds) } => {
            format!("{} at {starts_at} for {seconds}", exception.of)
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Reads [`exceptions_text`].
pub(super) fn read_exceptions(text: &str) -> Result<Vec<Exception>, Message> {
    let wrong = |line: &str| Message::new("import-exceptions-form").with("found", line.to_owned());
    let read = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let time = |word: &str| word.parse::<DateTime>().ok().filter(|_| word.contains(':'));
        let becomes = match words.get(1..)? {
            ["cancelled"] => Becomes::Cancelled,
            ["at", starts_at] => Becomes::Changed { starts_at: time(starts_at)?, duration: None },
            ["at", starts_at, "for", seconds] => {
                let duration =
                    seconds.parse().ok().filter(|seconds| (1..=super::super::MOST_DURATION).contains(seconds))?;
                Becomes::Changed { starts_at: time(starts_at)?, duration: Some(duration) }
            }
            _ => return None,
        };
        Some(Exception { of: time(words[0])?, becomes })
    };
    let lines = text.split(['\n', ';']).map(str::trim).filter(|line| !line.is_empty());
    let mut found = lines.map(|line| read(line).ok_or_else(|| wrong(line))).collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable_by_key(|exception| exception.of);
    found.dedup_by_key(|exception| exception.of);
    if found.len() > super::super::MOST_EXCEPTIONS {
        return Err(wrong(&found.len().to_string()));
    }
    Ok(found)
}

/// A target as files name it, without its key: `youtube ****jklm`, `custom rtmp://host ****`.
pub(crate) fn target_label(target: &Target) -> String {
    let place = target.url.as_ref().map(|url| format!(" {}", url.origin())).unwrap_or_default();
    let key = target.key_masked.as_deref().map(|masked| format!(" {masked}")).unwrap_or_default();
    format!("{}{place}{key}", target.platform.code())
}
