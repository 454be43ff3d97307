//! Text that a spreadsheet could take for more than text.

/// Whether a spreadsheet could take a text for a formula, or for a guarded one.
pub(crate) fn is_active(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠'])
}
