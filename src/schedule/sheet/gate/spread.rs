//! How far an OpenDocument table spreads out: lines and columns that are repeated, and blanks that are counted.

use quick_xml::events::BytesStart;

use super::{too_large, values};
use crate::error::Result;
use crate::schedule::sheet::Limits;
use crate::schedule::sheet::read::broken;

/// A line has no more; readers stop there.
const MOST_COLUMNS: usize = 16_384;

/// The cells of an OpenDocument table as a reader spreads them out.
#[derive(Default)]
pub(super) struct Ods {
    /// Lines so far, with their repeats; up to the last that is not empty; columns of the widest.
    lines: usize,
    tall: usize,
    wide: usize,
    /// Cells and bytes of text of all tables.
    tables: usize,
    cells: usize,
    text: usize,
    /// Of this line and this cell.
    in_line: bool,
    line_repeat: usize,
    column: usize,
    last_full: usize,
    /// Columns for which a reader has made room: as far as the last cell that is full, or has one after it.
    roomy: usize,
    cell: Option<Spread>,
}

struct Spread {
    repeat: usize,
    is_full: bool,
    text: usize,
}

impl Ods {
    /// Another part begins.
    pub(super) fn part(&mut self) {
        *self = Ods { tables: self.tables, cells: self.cells, text: self.text, ..Ods::default() };
    }

    pub(super) fn start(&mut self, element: &BytesStart<'_>, limits: &Limits) -> Result<()> {
        let name = element.name().0;
        // Tables within cells would hide the cells and lines around them.
        const PARTS: [&str; 4] = ["table:table", "table:table-row", "table:table-cell", "table:covered-table-cell"];
        if self.cell.is_some() && PARTS.contains(&name) {
            return Err(broken());
        }
        match name {
            "table:table" => {
                (self.lines, self.tall, self.wide) = (0, 0, 0);
                self.tables += 1;
                if self.in_line {
                    return Err(broken());
                }
                if self.tables > limits.sheets {
                    return Err(too_large("sheet-bomb-cells"));
                }
            }
            "table:table-row" => {
                if self.in_line {
                    return Err(broken());
                }
                self.line_repeat = repeats(element, "number-rows-repeated")?;
                (self.in_line, self.column, self.last_full, self.roomy) = (true, 0, 0, 0);
            }
            "table:table-cell" | "table:covered-table-cell" => {
                const LOOKS: [&str; 6] = [
                    "style-name",
                    "number-columns-repeated",
                    "number-columns-spanned",
                    "number-rows-spanned",
                    "content-validation-name",
                    "protect",
                ];
                let (mut is_full, mut text) = (false, 0);
                for attribute in element.attributes() {
                    let attribute = attribute.map_err(|_| broken())?;
                    is_full |= !LOOKS.contains(&attribute.key.local_name().as_ref());
                    text += attribute.value.len();
                }
                let text = if is_full { text } else { 0 };
                self.roomy = self.column;
                self.cell = Some(Spread { repeat: repeats(element, "number-columns-repeated")?, is_full, text });
            }
            // `<text:s text:c="…"/>` is so many blanks.
            "text:s" => self.text(repeats(element, "c")?),
            _ => self.text(0),
        }
        if self.cell.as_ref().is_some_and(|cell| cell.text > limits.text) {
            return Err(too_large("sheet-bomb-cells"));
        }
        Ok(())
    }

    pub(super) fn text(&mut self, bytes: usize) {
        if let Some(cell) = &mut self.cell {
            cell.is_full = true;
            cell.text = cell.text.saturating_add(bytes);
        }
    }

    pub(super) fn end(&mut self, name: &str, limits: &Limits) -> Result<()> {
        match name {
            "table:table-cell" | "table:covered-table-cell" => {
                let Some(cell) = self.cell.take() else { return Ok(()) };
                self.column = self.column.saturating_add(cell.repeat);
                if cell.is_full {
                    (self.last_full, self.roomy) = (self.column, self.column);
                    let times = cell.repeat.saturating_mul(self.line_repeat.max(1));
                    self.text = self.text.saturating_add(cell.text.saturating_mul(times));
                }
            }
            "table:table-row" => {
                self.lines = self.lines.saturating_add(self.line_repeat);
                self.in_line = false;
                self.cells = self.cells.saturating_add(self.roomy.min(MOST_COLUMNS));
                if self.last_full > 0 {
                    self.tall = self.lines;
                    self.wide = self.wide.max(self.last_full);
                }
            }
            "table:table" => self.cells = self.cells.saturating_add(self.tall.saturating_mul(self.wide)),
            _ => return Ok(()),
        }
        let spread = self.cells.saturating_add(self.tall.saturating_mul(self.wide));
        if spread > limits.cells || self.text > limits.text {
            return Err(too_large("sheet-bomb-cells"));
        }
        Ok(())
    }
}

/// How often something stands there; of several that say so, the most.
fn repeats(element: &BytesStart<'_>, name: &str) -> Result<usize> {
    let mut most = None;
    for count in values(element, name)? {
        most = most.max(Some(count.trim().parse().map_err(|_| broken())?));
    }
    Ok(most.unwrap_or(1))
}
