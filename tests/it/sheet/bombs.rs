//! Files that are made to explode, and many at once.

use std::io::{Cursor, Read as _, Write as _};

use reqwest::Method;

use super::{WORKBOOK, al, send, upload, zipped};
use crate::support::server::Server;

/// The old workbook with a part added or replaced.
fn workbook_with(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut old = zip::ZipArchive::new(Cursor::new(WORKBOOK)).unwrap();
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    for place in 0..old.len() {
        let mut part = old.by_index(place).unwrap();
        let mut bytes = Vec::new();
        part.read_to_end(&mut bytes).unwrap();
        parts.push((part.name().unwrap().into_owned(), bytes));
    }
    parts.retain(|(known, _)| known != name);
    parts.push((name.to_owned(), bytes.to_vec()));
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    zipped(&parts)
}

/// An old workbook of 2 KiB: its sheet says that it has four thousand million lines, and holds two cells in its corners.
fn old_workbook_of_lies() -> Vec<u8> {
    let begin = [0x09, 8, 8, 0, 0, 6, 16, 0, 0, 0, 0, 0];
    let end = [0x0A, 0, 0, 0];
    let name = |at: u32| [&[0x85, 0, 9, 0][..], &at.to_le_bytes(), &[0, 0, 1, 0, b's']].concat();
    let at = u32::try_from(begin.len() + name(0).len() + end.len()).unwrap();
    let size = [&[0, 2, 14, 0][..], &10_u32.to_le_bytes(), &1_u32.to_le_bytes(), &[0, 0, 1, 0, 0, 0]].concat();
    let cell =
        |row: u16, column: u16| [&[3, 2, 14, 0][..], &row.to_le_bytes(), &column.to_le_bytes(), &[0; 10]].concat();
    let sheet = [&begin[..], &size, &cell(0, 0), &cell(65_535, 255), &end].concat();
    let stream = [&begin[..], &name(at), &end, &sheet].concat();
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    file.create_stream("/Workbook").unwrap().write_all(&stream).unwrap();
    file.into_inner().into_inner()
}

fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn bombs_are_refused_in_little_memory() {
    let (server, al, _) = al().await;
    // What the program needs at all, after an honest file.
    upload(&al, WORKBOOK).await;
    let cell = r#"<c t="inlineStr"><is><t>x</t></is></c>"#;
    let rows = |count: usize| {
        let row = format!("<row>{}</row>", cell.repeat(100));
        format!(
            r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>"#,
            row.repeat(count)
        )
    };
    let many: Vec<(String, &[u8])> = (0..5000).map(|number| (format!("xl/{number}.xml"), &b"<a/>"[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let spread = br#"<office:document-content><table:table><table:table-row table:number-rows-repeated="1048576"><table:table-cell office:value-type="float" office:value="1" table:number-columns-repeated="16384"/></table:table-row></table:table></office:document-content>"#;
    let mut random = fastrand::Rng::with_seed(3);
    // Hardly packs, so that the parts are not refused for how tightly they are packed.
    let noise: String = (0..700 << 10).map(|_| random.alphanumeric()).collect();
    let pushed = format!(
        r#"<office:document-content><a b="{noise}"/><table:table table:name="a">{}</table:table></office:document-content>"#,
        r#"<table:table-row><table:table-cell table:number-columns-repeated="16383"/><table:table-cell/></table:table-row>"#.repeat(400_000)
    );
    let looks = format!(
        r#"<styleSheet><fonts><font><name val="{}"/></font></fonts><cellXfs>{}</cellXfs></styleSheet>"#,
        noise,
        r#"<xf fontId="0"/>"#.repeat(5000)
    );
    let bombs = [
        ("pushed", zipped(&[("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", pushed.as_bytes())])),
        ("looks", workbook_with("xl/styles.xml", looks.as_bytes())),
        ("old", old_workbook_of_lies()),
        ("ratio", workbook_with("xl/worksheets/sheet1.xml", &vec![b' '; 200 << 20])),
        ("entries", zipped(&many)),
        ("cells", workbook_with("xl/worksheets/sheet1.xml", rows(12_000).as_bytes())),
        ("strings", workbook_with("xl/sharedStrings.xml", br#"<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" uniqueCount="99999999999"/>"#)),
        ("links", workbook_with("xl/externalLinks/externalLink1.xml", b"<externalLink/>")),
        ("dtd", workbook_with("xl/styles.xml", b"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><styleSheet>&b;</styleSheet>")),
        ("ods", zipped(&[("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", spread)])),
        ("size", vec![b'a'; 9 << 20]),
    ];
    let before = resident(&server);
    for (name, bomb) in bombs {
        let answer = send(&al, bomb).await;
        assert_eq!(answer.status, 413, "{name}: {}", answer.text());
    }
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 32 << 20, "{} MiB more than before", grown >> 20);
    for other in [&b"\x89PNG\r\n\x1a\n\0\0"[..], b"PK\x03\x04broken", &[0xD0, 0xCF, 0x11, 0xE0, 1, 2, 3], b""] {
        assert!([415, 422].contains(&send(&al, other).await.status));
    }
    let heads = send(&al, b"title;starts_at\n").await;
    assert_eq!(heads.status, 422);
    assert!(heads.text().contains("no line below them"), "{}", heads.text());
}

#[tokio::test]
async fn many_large_files_at_once_take_the_memory_of_few() {
    let (server, al, _) = al().await;
    upload(&al, WORKBOOK).await;
    let mut file = b"PK".to_vec();
    file.resize(8 << 20, b'x');
    let file = bytes::Bytes::from(file);
    let before = resident(&server);
    let sends = (0..100).map(|_| {
        let request = al.request(Method::POST, "/api/v1/schedules/imports?name=plan");
        al.send(request.header("content-type", "application/octet-stream").body(file.clone()))
    });
    for answer in futures_util::future::join_all(sends).await {
        assert_eq!(answer.status, 415, "{}", answer.text());
    }
    let grown = resident(&server).saturating_sub(before);
    // Half of what the files weigh; connections take something themselves.
    assert!(grown < 400 << 20, "{} MiB more than before", grown >> 20);
}
