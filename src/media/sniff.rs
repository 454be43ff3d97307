//! What a file is, by its first bytes and by nothing else.
//!
//! The name and the declared type of an upload are a stranger's word. What is not positively known here is refused,
//! so a playlist, a script or a picture never reaches ffmpeg however it is called; what is known is later opened
//! with exactly that demuxer.

use serde::{Deserialize, Serialize};

/// How many leading bytes decide; a shorter head is judged as it is.
pub const HEAD: usize = 4096;

/// A container that videos may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Container {
    /// MPEG-4 part 14.
    Mp4,
    /// QuickTime.
    Mov,
    /// Matroska.
    Matroska,
    /// The subset of Matroska that browsers play.
    Webm,
    /// Flash video.
    Flv,
    /// MPEG transport stream with packets of 188 bytes.
    MpegTs,
    /// RIFF AVI.
    Avi,
}

impl Container {
    /// Every container, for tests and texts.
    pub const ALL: [Container; 7] = [
        Container::Mp4,
        Container::Mov,
        Container::Matroska,
        Container::Webm,
        Container::Flv,
        Container::MpegTs,
        Container::Avi,
    ];

    /// The demuxer that ffmpeg is forced to (`-f`) and confined to (`-format_whitelist`).
    pub fn demuxer(self) -> &'static str {
        match self {
            Container::Mp4 | Container::Mov => "mov",
            Container::Matroska | Container::Webm => "matroska",
            Container::Flv => "flv",
            Container::MpegTs => "mpegts",
            Container::Avi => "avi",
        }
    }

    /// File name extension without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Container::Mp4 => "mp4",
            Container::Mov => "mov",
            Container::Matroska => "mkv",
            Container::Webm => "webm",
            Container::Flv => "flv",
            Container::MpegTs => "ts",
            Container::Avi => "avi",
        }
    }

    /// The `Content-Type` it is served with.
    pub fn content_type(self) -> &'static str {
        match self {
            Container::Mp4 => "video/mp4",
            Container::Mov => "video/quicktime",
            Container::Matroska => "video/x-matroska",
            Container::Webm => "video/webm",
            Container::Flv => "video/x-flv",
            Container::MpegTs => "video/mp2t",
            Container::Avi => "video/x-msvideo",
        }
    }
}

/// A kind of picture that is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureKind {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
}

impl PictureKind {
    /// File name extension without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            PictureKind::Jpeg => "jpg",
            PictureKind::Png => "png",
            PictureKind::Webp => "webp",
        }
    }

    /// The `Content-Type` it is served with.
    pub fn content_type(self) -> &'static str {
        match self {
            PictureKind::Jpeg => "image/jpeg",
            PictureKind::Png => "image/png",
            PictureKind::Webp => "image/webp",
        }
    }
}

/// The container that these first bytes (at best [`HEAD`] of them) begin, if it is one we take.
pub fn sniff(head: &[u8]) -> Option<Container> {
    match head {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => iso_brand(head),
        [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, ..] if flags & 0b1111_1010 == 0 => Some(Container::Flv),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => Some(Container::Avi),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => ebml_document(head),
        [0x47, ..] => is_transport_stream(head).then_some(Container::MpegTs),
        _ => is_old_quicktime(head).then_some(Container::Mov),
    }
}

/// The kind of picture that these first bytes begin, if it is one we take.
pub fn sniff_picture(head: &[u8]) -> Option<PictureKind> {
    match head {
        [0xff, 0xd8, 0xff, ..] => Some(PictureKind::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(PictureKind::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(PictureKind::Webp),
        _ => None,
    }
}

fn big_endian(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>().map(|four| u32::from_be_bytes(*four))
}

fn iso_brand(head: &[u8]) -> Option<Container> {
    let size = big_endian(head)?;
    if !(16..=4096).contains(&size) {
        return None;
    }
    match head.get(8..12)? {
        b"qt  " => Some(Container::Mov),
        // Still pictures and sound books share the box with video.
        b"avif" | b"avis" | b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" | b"jxl "
        | b"jp2 " | b"crx " | b"M4A " | b"M4B " | b"M4P " => None,
        brand if brand.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') => Some(Container::Mp4),
        _ => None,
    }
}

/// QuickTime from before the brand box: starts right away with one of its top-level atoms.
fn is_old_quicktime(head: &[u8]) -> bool {
    let Some(kind) = head.get(4..8) else { return false };
    let Some(size) = big_endian(head) else { return false };
    match kind {
        // 0 means "to the end of the file", 1 "the size follows in 64 bits".
        b"mdat" => size <= 1 || size >= 8,
        b"moov" => size == 1 || size >= 16,
        b"wide" | b"free" | b"skip" => {
            // The padding must be followed by a further atom, else any text with this word in place would do.
            let next = size as usize;
            next >= 8
                && head
                    .get(next.saturating_add(4)..next.saturating_add(8))
                    .is_some_and(|kind| matches!(kind, b"mdat" | b"moov" | b"wide" | b"free" | b"skip"))
        }
        _ => false,
    }
}

/// Reads the EBML header's elements until the document type.
fn ebml_document(head: &[u8]) -> Option<Container> {
    let (length, mut at) = vint(head, 4)?;
    let end = usize::try_from(length).ok().and_then(|length| at.checked_add(length))?.min(head.len());
    while at < end {
        let (id, after_id) = element_id(head, at)?;
        let (length, after_length) = vint(head, after_id)?;
        let next = usize::try_from(length).ok().and_then(|length| after_length.checked_add(length))?;
        if id == 0x4282 {
            let kind = head.get(after_length..next)?;
            let kind = kind.split(|byte| *byte == 0).next()?;
            return match kind {
                b"matroska" => Some(Container::Matroska),
                b"webm" => Some(Container::Webm),
                _ => None,
            };
        }
        at = next;
    }
    None
}

fn element_id(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let length = bytes.get(at)?.leading_zeros() as usize + 1;
    if length > 4 {
        return None;
    }
    let end = at.checked_add(length)?;
    let id = bytes.get(at..end)?.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    Some((id, end))
}

fn vint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let first = *bytes.get(at)?;
    let length = first.leading_zeros() as usize + 1;
    if length > 8 {
        return None;
    }
    let end = at.checked_add(length)?;
    let marked = bytes.get(at..end)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some((marked & !(1 << (7 * length)), end))
}

/// Sync bytes at every 188th place, at least five of them; packets of 192 or 204 bytes are not taken.
fn is_transport_stream(head: &[u8]) -> bool {
    const PACKET: usize = 188;
    head.len() > 4 * PACKET && head.iter().step_by(PACKET).all(|byte| *byte == 0x47)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn ebml(kind: &[u8]) -> Vec<u8> {
        let mut body = vec![0x42, 0x86, 0x81, 1, 0x42, 0x82, 0x80 | kind.len() as u8];
        body.extend(kind);
        let mut head = vec![0x1a, 0x45, 0xdf, 0xa3, 0x80 | body.len() as u8];
        head.extend(body);
        head
    }

    fn packets(size: usize, sync_at: usize, count: usize) -> Vec<u8> {
        let mut bytes = vec![0u8; size * count];
        for packet in bytes.chunks_mut(size) {
            packet[sync_at] = 0x47;
        }
        bytes
    }

    #[rstest]
    #[case::mp4(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41".to_vec(), Some(Container::Mp4))]
    #[case::fragmented(b"\0\0\0\x1cftypdash\0\0\0\0iso6avc1mp41".to_vec(), Some(Container::Mp4))]
    #[case::mov(b"\0\0\0\x14ftypqt  \0\0\x02\0qt  ".to_vec(), Some(Container::Mov))]
    #[case::old_mov(b"\0\0\0\x08wide\0\x01\0\0mdat".to_vec(), Some(Container::Mov))]
    #[case::old_mov_moov(b"\0\0\x10\0moov\0\0\0\x6cmvhd".to_vec(), Some(Container::Mov))]
    #[case::matroska(ebml(b"matroska"), Some(Container::Matroska))]
    #[case::webm(ebml(b"webm"), Some(Container::Webm))]
    #[case::padded_document_type(ebml(b"webm\0\0"), Some(Container::Webm))]
    #[case::other_ebml(ebml(b"secrets"), None)]
    #[case::flv(b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec(), Some(Container::Flv))]
    #[case::avi(b"RIFF\x24\x10\0\0AVI LIST".to_vec(), Some(Container::Avi))]
    #[case::ts(packets(188, 0, 6), Some(Container::MpegTs))]
    #[case::ts_too_short(packets(188, 0, 4), None)]
    #[case::m2ts(packets(192, 4, 22), None)]
    #[case::packets_of_192(packets(192, 0, 22), None)]
    #[case::packets_of_204(packets(204, 0, 22), None)]
    #[case::avif(b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf".to_vec(), None)]
    #[case::heic(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), None)]
    #[case::sound_book(b"\0\0\0\x18ftypM4B \0\0\0\0mp42isom".to_vec(), None)]
    #[case::wav(b"RIFF\x24\x10\0\0WAVEfmt ".to_vec(), None)]
    #[case::webp(b"RIFF\x24\x10\0\0WEBPVP8 ".to_vec(), None)]
    #[case::png(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), None)]
    #[case::hls(b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n".to_vec(), None)]
    #[case::hls_with_mark(b"\xef\xbb\xbf#EXTM3U\n".to_vec(), None)]
    #[case::ffconcat(b"ffconcat version 1.0\nfile /etc/passwd\n".to_vec(), None)]
    #[case::bare_concat(b"file '/etc/passwd'\n".to_vec(), None)]
    #[case::dash(b"<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash\">".to_vec(), None)]
    #[case::bare_dash(b"<MPD></MPD>".to_vec(), None)]
    #[case::sdp(b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 1234 RTP/AVP 96\n".to_vec(), None)]
    #[case::smil(b"<smil><body><video src='file:///etc/passwd'/></body></smil>".to_vec(), None)]
    #[case::asx(b"[Reference]\nRef1=http://127.0.0.1/\n".to_vec(), None)]
    #[case::html(b"<!doctype html><script>alert(1)</script>".to_vec(), None)]
    #[case::text_that_starts_with_g(vec![b'G'; 187], None)]
    #[case::text_with_the_word(b"I amfree to say what I like and nobody will listen to it".to_vec(), None)]
    #[case::empty(Vec::new(), None)]
    #[case::zeros(vec![0; 4096], None)]
    fn a_container_is_known_by_its_first_bytes(#[case] head: Vec<u8>, #[case] expected: Option<Container>) {
        assert_eq!(sniff(&head), expected);
    }

    #[rstest]
    #[case(b"\xff\xd8\xff\xe0\0\x10JFIF", Some(PictureKind::Jpeg))]
    #[case(b"\x89PNG\r\n\x1a\n", Some(PictureKind::Png))]
    #[case(b"RIFF\0\0\0\0WEBPVP8L", Some(PictureKind::Webp))]
    #[case(b"GIF89a", None)]
    #[case(b"<svg xmlns='http://www.w3.org/2000/svg'/>", None)]
    #[case(b"<html>", None)]
    #[case(b"", None)]
    fn a_picture_is_known_by_its_first_bytes(#[case] head: &[u8], #[case] expected: Option<PictureKind>) {
        assert_eq!(sniff_picture(head), expected);
    }

    proptest! {
        #[test]
        fn sniffing_never_panics(head in prop::collection::vec(any::<u8>(), 0..2048)) {
            let _ = sniff(&head);
            let _ = sniff_picture(&head);
        }

        #[test]
        fn sniffing_a_hostile_matroska_header_never_panics(tail in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut head = vec![0x1a, 0x45, 0xdf, 0xa3];
            head.extend(&tail);
            let _ = sniff(&head);
        }

        #[test]
        fn sniffing_a_hostile_atom_never_panics(size: u32, kind in "wide|free|skip|moov|mdat|ftyp", tail in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut head = size.to_be_bytes().to_vec();
            head.extend(kind.as_bytes());
            head.extend(&tail);
            let _ = sniff(&head);
        }

        #[test]
        fn no_text_is_a_video(text in "[ -~\n\r\t]{0,4096}") {
            prop_assume!(!text.starts_with('G'));
            prop_assert_eq!(sniff(text.as_bytes()), None);
        }
    }
}
