//! How far a change of one occurrence reaches: the words of forms and of the API.

/// How far a change of an occurrence reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It alone.
    This,
    /// It and those after it: the schedule is split in two.
    Following,
    /// Every one that has not begun.
    All,
}

impl Reach {
    /// The word of forms and of the API.
    pub fn code(self) -> &'static str {
        match self {
            Reach::This => "this",
            Reach::Following => "following",
            Reach::All => "all",
        }
    }

    /// Reads [`Reach::code`].
    pub fn parse(code: &str) -> Option<Reach> {
        [Reach::This, Reach::Following, Reach::All].into_iter().find(|reach| reach.code() == code)
    }
}
