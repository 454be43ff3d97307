//! Files that lie to the gate: what it sees and what a reader does must be the same.

use std::io::{Cursor, Write as _};

use super::tests::{RELS, TOP, TYPES, WORKBOOK, fastrand_text, is_refused, table, workbook, zipped};
use super::{Limits, read};
use crate::error::Error;

#[track_caller]
fn is_broken(bytes: &[u8]) {
    assert!(
        matches!(read(bytes, &Limits::default()), Err(Error::WrongKind(_))),
        "{:?}",
        read(bytes, &Limits::default())
    );
}

fn cells(inner: &str) -> String {
    format!(
        r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{inner}</sheetData></worksheet>"#
    )
}

fn open_document(rows: &str) -> Vec<u8> {
    let content = format!(
        r#"<office:document-content><office:body><office:spreadsheet><table:table table:name="a">{rows}</table:table></office:spreadsheet></office:body></office:document-content>"#
    );
    let manifest = br#"<manifest:manifest/>"#;
    zipped(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", manifest),
        ("content.xml", content.as_bytes()),
    ])
}

#[test]
fn an_honest_open_document_is_read() {
    let text = |text: &str| {
        format!(r#"<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>"#)
    };
    let rest = r#"<table:table-cell table:number-columns-repeated="16380"/>"#;
    let rows = format!(
        r#"<table:table-row>{}{}{rest}</table:table-row><table:table-row table:number-rows-repeated="2">{}{rest}</table:table-row><table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>"#,
        text("title"),
        text("start"),
        text("A")
    );
    let table = table(&open_document(&rows));
    assert_eq!((table.heads.len(), table.lines.len()), (2, 2));
}

#[test]
fn a_workbook_with_a_password_is_told_as_one() {
    let is_protected = |bytes: &[u8]| {
        let told = read(bytes, &Limits::default()).unwrap_err();
        assert!(matches!(&told, Error::WrongKind(why) if why.id == "sheet-file-password"), "{told:?}");
    };
    let kind: (&str, &[u8]) = ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet");
    let manifest = br#"<manifest:manifest><manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data manifest:checksum="x"/></manifest:file-entry></manifest:manifest>"#;
    let noise = fastrand_text(2000);
    is_protected(&zipped(&[kind, ("content.xml", noise.as_bytes()), ("META-INF/manifest.xml", manifest)]));
    is_protected(&zipped(&[kind, ("encrypted-package", noise.as_bytes()), ("META-INF/manifest.xml", manifest)]));
    // Excel's: a compound file around it, whatever is within.
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    file.create_stream("/EncryptedPackage").unwrap().write_all(noise.as_bytes()).unwrap();
    is_protected(&file.into_inner().into_inner());
}

#[test]
fn repeats_of_an_open_document_are_seen_as_a_reader_sees_them() {
    // Empty cells that stand before an empty cell take room.
    let row = r#"<table:table-row><table:table-cell table:number-columns-repeated="16383"/><table:table-cell/></table:table-row>"#;
    is_refused(&open_document(&row.repeat(80)), "sheet-bomb-cells");
    // The same attribute of another namespace says something else.
    let row = r#"<table:table-row x:number-rows-repeated="1" table:number-rows-repeated="100000"><table:table-cell x:number-columns-repeated="1" table:number-columns-repeated="16384" office:value-type="float" office:value="1"/></table:table-row>"#;
    is_refused(&open_document(row), "sheet-bomb-cells");
    // Cells within cells and rows within cells hide the outer ones.
    for inner in
        ["<table:table-cell/>", "<table:table-row></table:table-row>", "<table:table table:name=\"b\"></table:table>"]
    {
        let row = format!(
            r#"<table:table-row table:number-rows-repeated="100000"><table:table-cell table:number-columns-repeated="16384" office:value-type="float" office:value="1">{inner}</table:table-cell></table:table-row>"#
        );
        is_broken(&open_document(&row));
    }
    // An attribute that stands there twice, and one without a value.
    for twice in [r#"table:number-rows-repeated="1" table:number-rows-repeated="9""#, "table:a"] {
        is_broken(&open_document(&format!("<table:table-row {twice}></table:table-row>")));
    }
}

#[test]
fn a_part_that_does_not_begin_like_xml_is_none() {
    let strings = br#"x<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" uniqueCount="9000000"><si><t>a</t></si></sst>"#;
    is_broken(&workbook(cells("").as_bytes(), &[("xl/sharedStrings.xml", strings)]));
    let wide: Vec<u8> = "\u{feff}<worksheet/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    is_broken(&workbook(&wide, &[]));
    let rows = r#"<table:table-row table:number-rows-repeated="1000000"><table:table-cell table:number-columns-repeated="16384" office:value="1"/></table:table-row>"#;
    let content = format!(r#"x<a><table:table table:name="a">{rows}</table:table></a>"#);
    is_broken(&zipped(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", b"<manifest:manifest/>"),
        ("content.xml", content.as_bytes()),
    ]));
    // A sheet whose part is called like a picture would be looked at as one.
    let rels = std::str::from_utf8(RELS).unwrap().replace("sheet1.xml", "sheet1.png");
    is_broken(&zipped(&[
        ("[Content_Types].xml", TYPES),
        ("_rels/.rels", TOP),
        ("xl/workbook.xml", WORKBOOK),
        ("xl/_rels/workbook.xml.rels", rels.as_bytes()),
        ("xl/worksheets/sheet1.png", cells("").as_bytes()),
    ]));
}

#[test]
fn more_strings_than_were_said_are_refused() {
    let strings = format!(r#"<sst uniqueCount="1">{}</sst>"#, "<si><t>ab</t></si>".repeat(1_000_001));
    let noise = fastrand_text(400 << 10);
    let padded = format!("<!--{noise}-->{strings}");
    is_refused(&workbook(cells("").as_bytes(), &[("xl/sharedStrings.xml", padded.as_bytes())]), "sheet-bomb-cells");
    let strings = br#"<sst x:uniqueCount="1" uniqueCount="9000000"/>"#;
    is_refused(&workbook(cells("").as_bytes(), &[("xl/sharedStrings.xml", strings)]), "sheet-bomb-cells");
}

#[test]
fn looks_that_repeat_a_long_name_are_refused() {
    // A reader copies the name of the font for every look.
    let name = fastrand_text(900 << 10);
    let styles = format!(
        r#"<styleSheet><fonts><font><name val="{name}"/></font></fonts><cellXfs>{}</cellXfs></styleSheet>"#,
        r#"<xf numFmtId="0" fontId="0"/>"#.repeat(1000)
    );
    is_refused(&workbook(cells("").as_bytes(), &[("xl/styles.xml", styles.as_bytes())]), "sheet-bomb-cells");
    let styles = format!(
        r#"<styleSheet><numFmts><numFmt numFmtId="200" formatCode="{name}"/></numFmts><cellXfs>{}</cellXfs></styleSheet>"#,
        r#"<xf numFmtId="200"/>"#.repeat(1000)
    );
    is_refused(&workbook(cells("").as_bytes(), &[("xl/styles.xml", styles.as_bytes())]), "sheet-bomb-cells");
}

#[test]
fn a_sheet_is_read_once() {
    let sheets = |count: usize, id: &dyn Fn(usize) -> usize| {
        let sheets: String =
            (0..count).map(|place| format!(r#"<sheet name="s{place}" r:id="r{}"/>"#, id(place))).collect();
        format!(r#"<workbook xmlns:r="r"><sheets>{sheets}</sheets></workbook>"#)
    };
    let rels = |count: usize, target: &dyn Fn(usize) -> String| {
        let all: String = (0..count)
            .map(|place| {
                format!(r#"<Relationship Id="r{place}" Type="http://x/worksheet" Target="{}"/>"#, target(place))
            })
            .collect();
        format!("<Relationships>{all}</Relationships>")
    };
    let file = |book: &str, rels: &str| {
        let sheet = cells(r#"<row r="1"><c r="A1" t="inlineStr"><is><t>title</t></is></c></row>"#);
        zipped(&[
            ("[Content_Types].xml", TYPES),
            ("_rels/.rels", TOP),
            ("xl/workbook.xml", book.as_bytes()),
            ("xl/_rels/workbook.xml.rels", rels.as_bytes()),
            ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ])
    };
    let one = |_: usize| "worksheets/sheet1.xml".to_owned();
    assert_eq!(read(&file(&sheets(1, &|place| place), &rels(1, &one)), &Limits::default()).unwrap().len(), 1);
    is_refused(&file(&sheets(2, &|_| 0), &rels(1, &one)), "sheet-bomb-cells");
    is_refused(&file(&sheets(2, &|place| place), &rels(2, &one)), "sheet-bomb-cells");
    let spellings = ["worksheets/sheet1.xml", "/xl/Worksheets\\sheet1.xml"].map(str::to_owned);
    is_refused(&file(&sheets(2, &|place| place), &rels(2, &|place| spellings[place].clone())), "sheet-bomb-cells");
    let escaped = ["worksheets/sheet1.xml", "worksheets/sheet&#49;.xml"].map(str::to_owned);
    is_refused(&file(&sheets(2, &|place| place), &rels(2, &|place| escaped[place].clone())), "sheet-bomb-cells");
    let others = |place: usize| format!("worksheets/other{place}.xml");
    is_refused(&file(&sheets(400, &|place| place), &rels(400, &others)), "sheet-bomb-cells");
}

#[test]
fn what_the_reader_stumbles_over_is_a_broken_file() {
    // Numbers of lines and columns that overflow.
    for place in ["A99999999999999", "ZZZZZZZZZZZZ1"] {
        let sheet = cells(&format!(r#"<row r="1"><c r="{place}" t="inlineStr"><is><t>x</t></is></c></row>"#));
        assert!(read(&workbook(sheet.as_bytes(), &[]), &Limits::default()).is_err(), "{place}");
    }
    let backwards = br#"<worksheet><dimension ref="Z9:A1"/><sheetData/></worksheet>"#;
    assert!(read(&workbook(backwards, &[]), &Limits::default()).is_err());
}

type Record = (u16, Vec<u8>);

fn begin() -> Record {
    (0x0809, vec![0, 6, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

fn end() -> Record {
    (0x000A, Vec::new())
}

fn number(row: u16, column: u16) -> Record {
    let mut data = [row.to_le_bytes(), column.to_le_bytes(), [0, 0]].concat();
    data.extend(1.0_f64.to_le_bytes());
    (0x0203, data)
}

fn label(row: u16, column: u16, text: &str) -> Record {
    let mut data = [row.to_le_bytes(), column.to_le_bytes(), [0, 0]].concat();
    data.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    data.push(0);
    data.extend(text.bytes());
    (0x0204, data)
}

fn records(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, data) in records {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
        bytes.extend(data);
    }
    bytes
}

fn compound(stream: &[u8]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    file.create_stream("/Workbook").unwrap().write_all(stream).unwrap();
    file.into_inner().into_inner()
}

/// An old workbook; `at` says where each sheet begins, in bytes after what concerns all sheets.
fn old_workbook(before: &[Record], at: &[usize], sheets: &[Record]) -> Vec<u8> {
    let name = |place: usize, at: u32| {
        let name = format!("s{place}");
        let mut data = at.to_le_bytes().to_vec();
        data.extend([0, 0, u8::try_from(name.len()).unwrap(), 0]);
        data.extend(name.bytes());
        (0x0085, data)
    };
    let globals = |base: usize| {
        let mut all = vec![begin()];
        all.extend_from_slice(before);
        all.extend(at.iter().enumerate().map(|(place, at)| name(place, u32::try_from(base + at).unwrap())));
        all.push(end());
        records(&all)
    };
    compound(&[globals(globals(0).len()), records(sheets)].concat())
}

#[test]
fn an_honest_old_workbook_is_read() {
    let mut formula = number(2, 0).1;
    // A formula of three bytes whose value is text.
    formula[6..14].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0xFF, 0xFF]);
    formula.extend([0, 0, 0, 0, 0, 0, 3, 0, 0x1E, 7, 0]);
    let text = (0x0207, [&[2, 0, 0][..], b"ok"].concat());
    let sheet = [
        begin(),
        label(0, 0, "title"),
        label(0, 1, "start"),
        label(1, 0, "A"),
        number(1, 1),
        (6, formula),
        text,
        end(),
    ];
    let table = table(&old_workbook(&[], &[0], &sheet));
    assert_eq!(table.heads, ["title", "start"]);
    let lines: Vec<_> = table.lines.iter().map(|line| (line.number, line.cell(0).text())).collect();
    assert_eq!(lines, [(2, "A".to_owned()), (3, "ok".to_owned())]);
}

#[test]
fn an_old_workbook_that_spreads_out_is_refused() {
    // Two cells that are far apart.
    is_refused(&old_workbook(&[], &[0], &[begin(), number(0, 0), number(65_535, 255), end()]), "sheet-bomb-cells");
    // Two sheets that are too large together.
    let half = [begin(), number(0, 0), number(50_000, 15), end()];
    let length = records(&half).len();
    is_refused(&old_workbook(&[], &[0, length], &[&half[..], &half[..]].concat()), "sheet-bomb-cells");
    // One long string in many cells.
    let mut strings = vec![1, 0, 0, 0, 1, 0, 0, 0];
    strings.extend(8000_u16.to_le_bytes());
    strings.push(0);
    strings.extend(vec![b'x'; 8000]);
    let cells = (0..2000_u16).map(|row| (0x00FD, [row.to_le_bytes(), [0, 0], [0, 0], [0, 0], [0, 0]].concat()));
    let sheet: Vec<Record> = [begin()].into_iter().chain(cells).chain([end()]).collect();
    is_refused(&old_workbook(&[(0x00FC, strings)], &[0], &sheet), "sheet-bomb-cells");
}

#[test]
fn the_size_that_an_old_sheet_says_is_not_believed() {
    // 4 thousand million lines, more lines than there are counted backwards, columns that are turned round.
    for (first, last, columns) in [(0_u32, u32::MAX, (0_u16, 256_u16)), (10, 1, (0, 1)), (0, u32::MAX, (5, 4))] {
        let mut size = [first.to_le_bytes(), last.to_le_bytes()].concat();
        size.extend([columns.0.to_le_bytes(), columns.1.to_le_bytes(), [0, 0]].concat());
        let sheet = [begin(), (0x0200, size), label(0, 0, "title"), label(0, 1, "start"), end()];
        assert_eq!(table(&old_workbook(&[], &[0], &sheet)).heads, ["title", "start"]);
    }
}

#[test]
fn a_sheet_hidden_within_the_records_of_others_is_seen() {
    let hidden = records(&[begin(), number(0, 0), number(65_535, 255), end()]);
    let sheet = [begin(), label(0, 0, "title"), (0x1234, hidden), end()];
    let at = records(&sheet[..2]).len() + 4;
    is_refused(&old_workbook(&[], &[0, at], &sheet), "sheet-bomb-cells");
    // Many sheets that are one, or begin within each other.
    let many: Vec<Record> = (0..200).map(|_| begin()).chain([number(0, 0), end()]).collect();
    let within: Vec<usize> = (0..200).map(|place| place * 20).collect();
    is_refused(&old_workbook(&[], &within, &many), "sheet-bomb-cells");
    is_refused(&old_workbook(&[], &[0, 0], &[begin(), number(0, 0), end()]), "sheet-bomb-cells");
    // A text without a formula would be a cell of the first line.
    let sheet = [
        begin(),
        (0x0207, [&[1, 0, 0][..], b"x"].concat()),
        label(65_530, 200, "title"),
        label(65_530, 201, "x"),
        end(),
    ];
    is_refused(&old_workbook(&[], &[0], &sheet), "sheet-file-columns");
}

#[test]
fn formulas_of_an_old_workbook_are_not_written_out() {
    // Each reference repeats the name of its sheet; a hundred references are in one formula.
    let mut formula = number(1, 0).1;
    formula.extend([0, 0, 0, 0, 0, 0]);
    let references: Vec<u8> = [0x5A, 0, 0, 0, 0, 0, 0].repeat(100);
    formula.extend(u16::try_from(references.len()).unwrap().to_le_bytes());
    formula.extend(references);
    let sheet = [begin(), label(0, 0, "title"), label(0, 1, "x"), (6, formula), end()];
    let table = table(&old_workbook(&[(0x0017, [1, 0, 0, 0, 0, 0, 0, 0].to_vec())], &[0], &sheet));
    assert_eq!(table.lines[0].cell(0).text(), "1");
}

#[test]
fn a_damaged_old_workbook_is_broken_and_nothing_else() {
    let sheet = [begin(), label(0, 0, "title"), label(0, 1, "start"), label(1, 0, "A"), number(1, 1), end()];
    let whole = old_workbook(&[], &[0], &sheet);
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..3000 {
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..8) {
            let place = random.usize(..bytes.len());
            bytes[place] = [0, 1, 0xFF, 0xFE, random.u8(..)][random.usize(..5)];
        }
        bytes.truncate(if random.bool() { random.usize(..bytes.len()) } else { bytes.len() });
        let told = read(&bytes, &Limits::default());
        assert!(!matches!(told, Err(Error::Internal(_))), "{told:?}");
    }
}
