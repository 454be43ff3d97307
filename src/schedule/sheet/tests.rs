//! Files of all kinds as typed rows, and files that are made to explode.

use std::io::{Cursor, Write as _};

use jiff::civil::{date, time};
use zip::write::SimpleFileOptions;

use super::*;
use crate::error::Error;

pub(super) fn table(bytes: &[u8]) -> Table {
    read(bytes, &Limits::default()).unwrap().remove(0)
}

fn rows(text: &str) -> Vec<SheetRow> {
    let table = table(text.as_bytes());
    read_rows(&table, &Mapping::recognise(&table.heads), &Reading::default())
}

pub(super) fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(super) const TYPES: &[u8] = br#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#;
pub(super) const WORKBOOK: &[u8] = br#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>"#;
pub(super) const TOP: &[u8] = br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
pub(super) const RELS: &[u8] = br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;

pub(super) fn workbook(sheet: &[u8], more: &[(&str, &[u8])]) -> Vec<u8> {
    let mut parts = vec![
        ("[Content_Types].xml", TYPES),
        ("_rels/.rels", TOP),
        ("xl/workbook.xml", WORKBOOK),
        ("xl/_rels/workbook.xml.rels", RELS),
        ("xl/worksheets/sheet1.xml", sheet),
    ];
    parts.extend(more);
    zipped(&parts)
}

#[track_caller]
pub(super) fn is_refused(bytes: &[u8], id: &str) {
    match read(bytes, &Limits::default()) {
        Err(Error::TooLarge(message)) => assert_eq!(message.id, id),
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_header_sets_of_the_old_program_are_known_in_any_order() {
    let heads = |text: &str| text.split(", ").map(str::to_owned).collect::<Vec<_>>();
    let set_a = heads(
        "title, description, scheduledStartTime, privacyStatus, autoStart, autoStop, madeForKids, tokenFile, \
         useExistingStream, streamNameExisting, thumbnailFile, repeat_daily, success, streamId, broadcastLink, \
         streamIdExisting, owner, created_by, updated_at",
    );
    let set_b = heads(
        "title, scheduledStartTime, videoFile, thumbnail, streamNameExisting, streamIdExisting, token_file, repeat_daily",
    );
    for (set, mut heads) in [(HeaderSet::LegacyA, set_a), (HeaderSet::LegacyB, set_b)] {
        for _ in 0..heads.len() {
            heads.rotate_left(1);
            let mapping = Mapping::recognise(&heads);
            assert_eq!(mapping.header_set(), set);
            assert_eq!(mapping.unknown(&heads), Vec::<usize>::new(), "{heads:?}");
            assert_eq!(mapping.place(Column::Title), heads.iter().position(|head| head == "title"));
            assert_eq!(mapping.place(Column::KeyId), heads.iter().position(|head| head == "streamIdExisting"));
        }
    }
    let own = heads("ID Jadwal, Judul Siaran, Tanggal, Jam, Zona Waktu, Video, Kunci, Durasi (menit), catatan panitia");
    let mapping = Mapping::recognise(&own);
    assert_eq!(mapping.header_set(), HeaderSet::Own);
    assert_eq!(mapping.unknown(&own), [8]);
    assert_eq!(mapping.place(Column::Duration), Some(7));
}

#[test]
fn every_column_can_be_written_and_read_again() {
    for column in Column::all() {
        assert_eq!(Column::of_head(column.name()), Some(column));
        assert_eq!(Column::parse(column.name()), Some(column));
    }
}

#[test]
fn the_workbook_of_the_old_program_is_read() {
    let bytes = include_bytes!("../../../tests/it/fixtures/live_stream_data.xlsx");
    let table = table(bytes);
    let rows = read_rows(&table, &Mapping::recognise(&table.heads), &Reading::default());
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(SheetRow::is_good), "{rows:?}");
    let [one, two, three] = &rows[..] else { panic!() };
    assert_eq!((one.number, one.title.as_deref()), (2, Some("Ngaji Subuh Senin")));
    assert_eq!(one.description.as_deref(), Some("Kajian rutin\nSetiap Senin"));
    assert_eq!(one.starts_at, Some(date(2027, 1, 4).at(4, 30, 0, 0)));
    assert_eq!((one.privacy, one.auto_start, one.auto_stop), (Some(Privacy::Unlisted), Some(true), Some(false)));
    assert_eq!((one.key_name.as_deref(), one.key_id.as_deref()), (Some("Kunci utama"), Some("YtStreamId0001")));
    assert_eq!(one.repeat, Some(Repeat::Once));
    assert_eq!((two.starts_at, two.repeat), (Some(date(2027, 1, 5).at(19, 30, 0, 0)), Some(Repeat::Daily)));
    assert_eq!(two.key_name, None);
    assert_eq!((three.starts_at, three.success), (Some(date(2025, 11, 3).at(12, 0, 0, 0)), Some(true)));
    assert_eq!(three.platform_stream_id.as_deref(), Some("YtStreamId0002"));
}

#[test]
fn a_cell_that_makes_no_sense_is_named_with_what_is_expected() {
    let rows =
        rows("judul;mulai;privasi;durasi\nA;besok;rahasia;1:75\nB;2027-01-04 04:30;publik;1:30\nC;4 Mei 2027;;\n");
    let mut told: Vec<_> =
        rows[0].problems.iter().map(|problem| (problem.row, &*problem.letters, &*problem.head)).collect();
    told.sort_unstable();
    assert_eq!(told, [(2, "B", "mulai"), (2, "C", "privasi"), (2, "D", "durasi")]);
    assert!(rows[0].problems.iter().any(|problem| problem.message.to_string().contains("besok")));
    assert!(rows[1].is_good());
    assert_eq!((rows[1].privacy, rows[1].duration), (Some(Privacy::Public), Some(5400)));
    assert_eq!(rows[2].problems[0].message.id, "sheet-moment-no-time");
}

#[test]
fn date_and_time_may_stand_apart_and_name_their_zone() {
    let rows = rows("judul,tanggal,jam\nA,04/05/2027,20.00 WIB\nB,31/05/2027,jam 8 malam\nC,2027-05-31T20:00+07:00,\n");
    let at = |day| Some(date(2027, 5, day).at(20, 0, 0, 0));
    // The second line says that the day comes first.
    assert_eq!((rows[0].starts_at, rows[0].time_zone.as_deref()), (at(4), Some("Asia/Jakarta")));
    assert_eq!((rows[1].starts_at, rows[1].time_zone.as_deref()), (at(31), None));
    assert_eq!(rows[2].starts_exact, Some("2027-05-31T13:00Z".parse().unwrap()));
}

#[test]
fn lists_rules_and_ends_are_read() {
    let rows = rows(
        "title,starts_at,rule,times,skip_dates,stop_at,videos,grace,order,key\n\
         A,2027-01-04 04:30,FREQ=DAILY,12:00; 18.30,2027-01-05; 6 Januari 2027,21:00,a.mp4; b.mp4,10,acak,utama\n",
    );
    let row = &rows[0];
    assert!(row.is_good(), "{row:?}");
    assert_eq!(row.times, [time(12, 0, 0, 0), time(18, 30, 0, 0)]);
    assert_eq!(row.skip_dates, [date(2027, 1, 5), date(2027, 1, 6)]);
    assert_eq!(row.videos, ["a.mp4", "b.mp4"]);
    assert_eq!((row.grace, row.shuffled, row.key_name.as_deref()), (Some(600), Some(true), Some("utama")));
    assert_eq!(row.stop_at, Some(crate::schedule::StopTime::Daily(time(21, 0, 0, 0))));
}

#[test]
fn lengths_are_read_as_people_write_them() {
    for (text, seconds) in [
        ("90", Some(5400)),
        ("1:30", Some(5400)),
        ("1:30:00", Some(5400)),
        ("90 menit", Some(5400)),
        ("1 jam 30 menit", Some(5400)),
        ("1h 30m", Some(5400)),
        ("PT1H30M", Some(5400)),
        ("48:00", Some(172_800)),
        ("0", None),
    ] {
        assert_eq!(value::length(&Cell::Text(text.into())), Ok(seconds), "{text}");
    }
    assert!(value::length(&Cell::Text("lama".into())).is_err());
    assert!(value::length(&Cell::Text("-5".into())).is_err());
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let zeros = vec![b' '; 20 << 20];
    is_refused(&workbook(&zeros, &[]), "sheet-bomb-unpacked");
    let names: Vec<String> = (0..300).map(|number| format!("xl/{number}.xml")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"<a/>"[..])).collect();
    is_refused(&workbook(b"<worksheet/>", &many), "sheet-bomb-entries");
    is_refused(&workbook(b"<!DOCTYPE a [<!ENTITY x \"y\">]><worksheet/>", &[]), "sheet-bomb-dtd");
    is_refused(&workbook(b"<worksheet/>", &[("xl/externalLinks/externalLink1.xml", b"<a/>")]), "sheet-bomb-links");
    let out = br#"<Relationships><Relationship Id="r" Type="http://x/oleObject" TargetMode="External" Target="http://x/"/></Relationships>"#;
    is_refused(&workbook(b"<worksheet/>", &[("xl/worksheets/_rels/sheet1.xml.rels", out)]), "sheet-bomb-links");
    let strings =
        br#"<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" uniqueCount="4000000000000"/>"#;
    is_refused(&workbook(b"<worksheet/>", &[("xl/sharedStrings.xml", strings)]), "sheet-bomb-cells");
    let far = br#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>title</t></is></c><c r="XFD1" t="inlineStr"><is><t>x</t></is></c></row></sheetData></worksheet>"#;
    is_refused(&workbook(far, &[]), "sheet-file-columns");
    let long = format!("<worksheet><a b=\"{}\"/></worksheet>", fastrand_text(3 << 20));
    is_refused(&workbook(long.as_bytes(), &[]), "sheet-bomb-unpacked");
    let content = br#"<office:document-content><table:table><table:table-row table:number-rows-repeated="1000000"><table:table-cell office:value-type="float" office:value="1" table:number-columns-repeated="16384"/></table:table-row></table:table></office:document-content>"#;
    is_refused(
        &zipped(&[("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", content)]),
        "sheet-bomb-cells",
    );
}

/// Text that hardly packs.
pub(super) fn fastrand_text(length: usize) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    (0..length).map(|_| random.alphanumeric()).collect()
}

#[test]
fn a_part_that_lies_about_its_size_is_refused() {
    let mut bytes = workbook(&vec![b' '; 900 << 10], &[]);
    // The list of parts says 10 bytes.
    let at = bytes.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    bytes[at + 24..at + 28].copy_from_slice(&10_u32.to_le_bytes());
    assert!(matches!(read(&bytes, &Limits::default()), Err(Error::TooLarge(_) | Error::WrongKind(_))));
}

#[test]
fn an_honest_workbook_with_a_hyperlink_and_tight_parts_is_read() {
    let sheet = br#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>title</t></is></c></row><row r="3"><c r="A3" t="inlineStr"><is><t>=1+1</t></is></c></row></sheetData></worksheet>"#;
    let link = br#"<Relationships><Relationship Id="r" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink" TargetMode="External" Target="http://x/"/></Relationships>"#;
    let table = table(&workbook(sheet, &[("xl/worksheets/_rels/sheet1.xml.rels", link)]));
    assert_eq!((table.name.as_str(), table.head_line, table.lines[0].number), ("a", 1, 3));
    assert_eq!(table.lines[0].cell(0).text(), "=1+1");
}
