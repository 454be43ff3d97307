//! Just enough HTML to hold our own pages against rules: every element with its parents, unbalanced tags refused.

use std::fmt;

/// One element, in document order.
pub struct Element {
    pub tag: String,
    pub attributes: Vec<(String, String)>,
    /// Position of the parent.
    pub parent: Option<usize>,
    /// All text within, also that of children.
    pub text: String,
}

impl Element {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Position of the nearest element `tag` around this one.
    pub fn inside(&self, page: &[Element], tag: &str) -> Option<usize> {
        let mut parent = self.parent;
        while let Some(at) = parent {
            if page[at].tag == tag {
                return Some(at);
            }
            parent = page[at].parent;
        }
        None
    }

    /// Whether this lies somewhere within the element at `ancestor`.
    pub fn within(&self, ancestor: usize, page: &[Element]) -> bool {
        let mut parent = self.parent;
        while let Some(at) = parent {
            if at == ancestor {
                return true;
            }
            parent = page[at].parent;
        }
        false
    }
}

impl fmt::Display for Element {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "<{}", self.tag)?;
        for (name, value) in &self.attributes {
            write!(formatter, " {name}=\"{value}\"")?;
        }
        formatter.write_str(">")
    }
}

const VOID: &[&str] = &["br", "hr", "img", "input", "link", "meta", "source", "rect", "use", "path"];

/// Parses a page.
///
/// # Errors
/// A tag that is not closed, or closed in the wrong order, or an attribute that stands twice.
pub fn parse(html: &str) -> Result<Vec<Element>, String> {
    let mut page: Vec<Element> = vec![];
    let mut open: Vec<usize> = vec![];
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        for at in &open {
            page[*at].text.push_str(&rest[..start]);
        }
        rest = &rest[start + 1..];
        if rest.starts_with('!') {
            rest = rest.split_once('>').ok_or("comment without end")?.1;
            continue;
        }
        let end = tag_end(rest).ok_or_else(|| format!("tag without end: {}", excerpt(rest)))?;
        let inner = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(tag) = inner.strip_prefix('/') {
            let last = open.pop().ok_or_else(|| format!("</{tag}> closes nothing"))?;
            if page[last].tag != tag.trim() {
                return Err(format!("</{tag}> closes {}", page[last]));
            }
            continue;
        }
        let closed = inner.ends_with('/');
        let inner = inner.trim_end_matches('/').trim();
        let (tag, attributes) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
        let attributes = attributes_of(attributes)?;
        page.push(Element { tag: tag.to_owned(), attributes, parent: open.last().copied(), text: String::new() });
        if !closed && !VOID.contains(&tag) {
            open.push(page.len() - 1);
        }
    }
    match open.last() {
        Some(at) => Err(format!("{} is not closed", page[*at])),
        None => Ok(page),
    }
}

fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    text.char_indices().find_map(|(at, character)| {
        match (quote, character) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), given) if open == given => quote = None,
            _ => {}
        }
        None
    })
}

fn attributes_of(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut attributes: Vec<(String, String)> = vec![];
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(|given: char| given == '=' || given.is_whitespace()).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            let quote = after.chars().next().filter(|given| ['"', '\''].contains(given));
            let quote = quote.ok_or_else(|| format!("attribute {name} without quotes: {}", excerpt(text)))?;
            let (inner, after) = after[1..].split_once(quote).ok_or_else(|| format!("attribute {name} without end"))?;
            value = inner.to_owned();
            rest = after;
        }
        if attributes.iter().any(|(given, _)| *given == name) {
            return Err(format!("attribute {name} stands twice: {}", excerpt(text)));
        }
        attributes.push((name, value));
        rest = rest.trim_start();
    }
    Ok(attributes)
}

fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}
