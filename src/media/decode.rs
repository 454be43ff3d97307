//! Pictures from outside, decoded and written anew. Runs inside the cage only ([`super::cage`]): a decoder that is led
//! astray, or that takes more memory than foreseen, takes nobody with it.
//!
//! What comes out holds nothing of what came in but the pixels: no EXIF, no place where it was taken, no script
//! behind the last byte.

use std::ffi::OsString;
use std::io::{Cursor, Read, Write};
use std::process::ExitCode;

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use serde::{Deserialize, Serialize};

use super::picture::MOST_BYTES;
use super::sniff::{PictureKind, sniff_picture};

/// Most pixels that are decoded.
const MOST_PIXELS: u64 = 50_000_000;
/// Memory for the pixels and what a decoder says that it needs beside them, in bytes: 50 million of four bytes, or fewer
/// of eight. What it does not say is bounded by the cage.
const MOST_MEMORY: u64 = 256 << 20;

/// What became of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Written anew; the bytes follow.
    Picture {
        kind: PictureKind,
        width: u32,
        height: u32,
    },
    NoPicture,
    TooManyPixels,
    TooDeep,
    Unreadable,
    /// Our own fault.
    Failed,
}

/// Serves the cage's `@picture [LONGEST]`: a picture on standard input; on standard output an [`Answer`] on a line, then
/// the new picture. Its longer side has at most LONGEST pixels.
pub(super) fn work(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let longest = arguments.next().and_then(|longest| longest.to_str()?.parse().ok());
    let mut bytes = Vec::new();
    if std::io::stdin().take(MOST_BYTES as u64).read_to_end(&mut bytes).is_err() {
        return ExitCode::FAILURE;
    }
    match answer(bytes, longest, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Writes what becomes of a picture.
pub(super) fn answer(bytes: Vec<u8>, longest: Option<u32>, out: &mut impl Write) -> std::io::Result<()> {
    let (answer, bytes) = remade(bytes, longest).unwrap_or_else(|answer| (answer, Vec::new()));
    serde_json::to_writer(&mut *out, &answer)?;
    out.write_all(b"\n")?;
    out.write_all(&bytes)?;
    out.flush()
}

/// Decodes a picture and writes it anew.
///
/// # Errors
/// Every other [`Answer`].
fn remade(bytes: Vec<u8>, longest: Option<u32>) -> Result<(Answer, Vec<u8>), Answer> {
    let kind = sniff_picture(&bytes).ok_or(Answer::NoPicture)?;
    let (mut picture, orientation) = decoded(&bytes, kind)?;
    drop(bytes);
    // In the pixels' own kind and before anything is turned: a second copy of the whole would double the memory.
    if let Some(longest) = longest {
        picture = smaller(picture, longest)?;
    }
    picture.apply_orientation(orientation);
    write(picture)
}

fn smaller(from: DynamicImage, longest: u32) -> Result<DynamicImage, Answer> {
    let (width, height) = fitted((from.width(), from.height()), (longest, longest));
    if (width, height) == (from.width(), from.height()) {
        return Ok(from);
    }
    let mut to = DynamicImage::new(width, height, from.color());
    let method = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&from, &mut to, &method).map_err(failed)?;
    Ok(to)
}

fn failed(cause: impl std::fmt::Display) -> Answer {
    eprintln!("{cause}");
    Answer::Failed
}

fn format(kind: PictureKind) -> ImageFormat {
    match kind {
        PictureKind::Jpeg => ImageFormat::Jpeg,
        PictureKind::Png => ImageFormat::Png,
        PictureKind::Webp => ImageFormat::WebP,
    }
}

/// Decodes with the decoder that the first bytes ask for; how the picture is to be turned, as its EXIF says.
fn decoded(bytes: &[u8], kind: PictureKind) -> Result<(DynamicImage, Orientation), Answer> {
    let broken = |cause: image::ImageError| match cause {
        image::ImageError::Limits(_) => Answer::TooManyPixels,
        _ => Answer::Unreadable,
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format(kind));
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(Answer::TooManyPixels);
    }
    if decoder.total_bytes() > MOST_MEMORY {
        return Err(Answer::TooDeep);
    }
    decoder.set_limits(limits).map_err(broken)?;
    let orientation = decoder.orientation().map_err(broken)?;
    Ok((DynamicImage::from_decoder(decoder).map_err(broken)?, orientation))
}

fn write(picture: DynamicImage) -> Result<(Answer, Vec<u8>), Answer> {
    if picture.color().has_alpha() {
        let pixels = picture.into_rgba8();
        if pixels.pixels().any(|pixel| pixel.0[3] != 255) {
            let (width, height) = pixels.dimensions();
            let mut bytes = Vec::new();
            pixels.write_with_encoder(PngEncoder::new(&mut bytes)).map_err(failed)?;
            return Ok((Answer::Picture { kind: PictureKind::Png, width, height }, bytes));
        }
        return jpeg(&DynamicImage::from(pixels).into_rgb8());
    }
    jpeg(&picture.into_rgb8())
}

fn jpeg(pixels: &RgbImage) -> Result<(Answer, Vec<u8>), Answer> {
    let (width, height) = pixels.dimensions();
    let mut bytes = Vec::new();
    pixels.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 90)).map_err(failed)?;
    Ok((Answer::Picture { kind: PictureKind::Jpeg, width, height }, bytes))
}

/// The largest size with the same shape that fits into another, at most the size itself.
fn fitted((width, height): (u32, u32), (most_width, most_height): (u32, u32)) -> (u32, u32) {
    let (width, height) = (f64::from(width), f64::from(height));
    let scale = (f64::from(most_width) / width).min(f64::from(most_height) / height).min(1.0);
    (((width * scale).round() as u32).max(1), ((height * scale).round() as u32).max(1))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use image::{ImageEncoder, Rgba, RgbaImage};

    use super::*;

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// Kind, width and height, and the bytes.
    fn picture(bytes: Vec<u8>, longest: Option<u32>) -> (PictureKind, u32, u32, Vec<u8>) {
        match remade(bytes, longest) {
            Ok((Answer::Picture { kind, width, height }, bytes)) => (kind, width, height, bytes),
            other => panic!("{:?}", other.map(|(answer, _)| answer)),
        }
    }

    fn refused(bytes: Vec<u8>) -> Answer {
        remade(bytes, None).unwrap_err()
    }

    /// Left half red, right half blue.
    fn halves(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, _| image::Rgb(if x < width / 2 { [255, 0, 0] } else { [0, 0, 255] }))
    }

    #[test]
    fn every_kind_is_taken_in_and_written_anew() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let bytes = encoded(&halves(640, 360).into(), format);
            let (kind, width, height, anew) = picture(bytes.clone(), None);
            assert_eq!((kind, width, height), (PictureKind::Jpeg, 640, 360), "{format:?}");
            assert_ne!(anew, bytes);
            assert_eq!(sniff_picture(&anew), Some(PictureKind::Jpeg));
        }
    }

    #[test]
    fn transparency_is_kept_in_a_png() {
        let clear = RgbaImage::from_pixel(100, 100, Rgba([0, 0, 0, 0]));
        let (kind, _, _, bytes) = picture(encoded(&clear.into(), ImageFormat::Png), None);
        assert_eq!(kind, PictureKind::Png);
        assert_eq!(image::load_from_memory(&bytes).unwrap().into_rgba8().get_pixel(50, 50).0[3], 0);
    }

    #[test]
    fn a_full_but_unused_alpha_channel_does_not_make_a_png() {
        let full = RgbaImage::from_pixel(100, 100, Rgba([9, 9, 9, 255]));
        assert_eq!(picture(encoded(&full.into(), ImageFormat::Png), None).0, PictureKind::Jpeg);
    }

    #[test]
    fn a_fitted_picture_keeps_its_shape_and_its_transparency() {
        let wide = encoded(&halves(2560, 1000).into(), ImageFormat::Png);
        let (kind, width, height, _) = picture(wide, Some(1280));
        assert_eq!((width, height, kind), (1280, 500, PictureKind::Jpeg));
        let clear = RgbaImage::from_pixel(100, 400, Rgba([0, 0, 0, 0]));
        let (kind, width, height, _) = picture(encoded(&clear.into(), ImageFormat::Png), Some(200));
        assert_eq!((width, height, kind), (50, 200, PictureKind::Png));
    }

    #[test]
    fn pixels_of_every_kind_are_made_smaller() {
        let pixels = DynamicImage::from(halves(600, 300));
        let kinds = [
            DynamicImage::from(pixels.to_luma8()),
            DynamicImage::from(pixels.to_luma_alpha8()),
            DynamicImage::from(pixels.to_rgba8()),
            DynamicImage::from(pixels.to_luma16()),
            DynamicImage::from(pixels.to_luma_alpha16()),
            DynamicImage::from(pixels.to_rgb16()),
            DynamicImage::from(pixels.to_rgba16()),
        ];
        for pixels in kinds {
            let (kind, width, height, bytes) = picture(encoded(&pixels, ImageFormat::Png), Some(100));
            assert_eq!((kind, width, height), (PictureKind::Jpeg, 100, 50), "{:?}", pixels.color());
            let small = image::load_from_memory(&bytes).unwrap().into_luma8();
            assert!(small.get_pixel(10, 25).0[0] > small.get_pixel(90, 25).0[0] + 20, "{:?}", pixels.color());
        }
    }

    #[test]
    fn sizes_fit_and_are_never_larger() {
        for (size, expected) in
            [((1920, 1080), (480, 270)), ((1080, 1920), (152, 270)), ((200, 100), (200, 100)), ((3000, 2), (480, 1))]
        {
            assert_eq!(fitted(size, (480, 270)), expected);
        }
    }

    #[test]
    fn a_picture_of_sixteen_bits_a_colour_may_have_fewer_pixels() {
        let chunk = |kind: &[u8], data: &[u8]| {
            let mut crc = flate2::Crc::new();
            crc.update(&[kind, data].concat());
            [&(data.len() as u32).to_be_bytes(), kind, data, &crc.sum().to_be_bytes()].concat()
        };
        let header = |depth: u8| {
            let sides = [7000_u32.to_be_bytes(), 7000_u32.to_be_bytes()].concat();
            let picture = chunk(b"IHDR", &[sides.as_slice(), &[depth, 6, 0, 0, 0]].concat());
            [b"\x89PNG\r\n\x1a\n".as_slice(), &picture, &chunk(b"IDAT", b""), &chunk(b"IEND", b"")].concat()
        };
        // The one is refused by its size alone; the other would be read, were there anything to read.
        assert_eq!(refused(header(16)), Answer::TooDeep);
        assert_eq!(refused(header(8)), Answer::Unreadable);
    }

    #[test]
    fn exif_turns_the_picture_and_then_is_gone() {
        // Big-endian TIFF with one entry: orientation 6, "turn right"; then a word that must not survive.
        let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0secret-place";
        let pixels = halves(64, 32);
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
        encoder.set_exif_metadata(exif.to_vec()).unwrap();
        encoder.write_image(pixels.as_raw(), 64, 32, image::ExtendedColorType::Rgb8).unwrap();
        assert!(bytes.windows(12).any(|window| window == b"secret-place"));

        let (_, width, height, bytes) = picture(bytes, Some(64));
        assert_eq!((width, height), (32, 64));
        assert!(!bytes.windows(12).any(|window| window == b"secret-place"));
        let pixels = image::load_from_memory(&bytes).unwrap().into_rgb8();
        assert!(pixels.get_pixel(16, 5).0[0] > 200, "the left half is on top now");
        assert!(pixels.get_pixel(16, 60).0[2] > 200);
    }

    #[test]
    fn a_tail_behind_the_picture_is_gone() {
        let mut bytes = encoded(&halves(64, 32).into(), ImageFormat::Png);
        bytes.extend(b"<script>alert(1)</script>");
        let (_, _, _, bytes) = picture(bytes, None);
        assert!(!bytes.windows(7).any(|window| window == b"<script"));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec();
        let html = b"<!doctype html><script>alert(1)</script>".to_vec();
        let cut = encoded(&halves(64, 32).into(), ImageFormat::Png)[..60].to_vec();
        let gif = b"GIF89a\x01\0\x01\0".to_vec();
        for bytes in [svg, html, gif, Vec::new()] {
            assert_eq!(refused(bytes), Answer::NoPicture);
        }
        for bytes in [cut, b"\xff\xd8\xff".to_vec(), b"\x89PNG\r\n\x1a\n".to_vec()] {
            assert_eq!(refused(bytes), Answer::Unreadable);
        }
    }

    fn crc(bytes: &[u8]) -> [u8; 4] {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            }
        }
        (!crc).to_be_bytes()
    }

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut body = kind.to_vec();
        body.extend(data);
        let mut chunk = (data.len() as u32).to_be_bytes().to_vec();
        chunk.extend(&body);
        chunk.extend(crc(&body));
        chunk
    }

    fn peak_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn a_picture_bomb_is_refused_quickly_and_cheaply() {
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        png.extend(chunk(b"IHDR", &[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 8, 6, 0, 0, 0]));
        png.extend(chunk(b"IDAT", &[0x78, 0x9c, 1, 0, 0, 0xff, 0xff]));
        png.extend(chunk(b"IEND", &[]));
        // A JPEG that claims 65500x65500.
        let mut jpeg = b"\xff\xd8\xff\xc0\0\x11\x08\xff\xdc\xff\xdc\x03\x01\x11\0\x02\x11\0\x03\x11\0".to_vec();
        jpeg.extend(b"\xff\xda\0\x0c\x03\x01\0\x02\0\x03\0\0\x3f\0\0\0\0\xff\xd9");
        // A WebP canvas of 16384x16384.
        let webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0".to_vec();
        let peak = peak_kib();
        for bomb in [png, jpeg, webp] {
            let before = Instant::now();
            assert!(matches!(refused(bomb), Answer::TooManyPixels | Answer::Unreadable));
            assert!(before.elapsed().as_secs() < 2);
        }
        // Other tests run beside this one; the bomb alone would be 17 GB.
        assert!(peak_kib() - peak < 512 * 1024, "{} KiB", peak_kib() - peak);
    }
}
