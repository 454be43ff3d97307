//! Pictures from outside: decoded within limits, written anew.
//!
//! What comes out holds nothing of what came in but the pixels: no EXIF, no place where it was taken, no script
//! behind the last byte.

use std::io::Cursor;

use bytes::Bytes;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, GenericImageView, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Semaphore;

use super::sniff::{PictureKind, sniff_picture};
use crate::error::{Error, Result};
use crate::text::Message;

/// Largest picture file that is taken in, in bytes.
pub const MOST_BYTES: usize = 20 << 20;
/// Most pixels that are decoded.
const MOST_PIXELS: u64 = 50_000_000;
/// Memory for the pixels and what a decoder needs beside them, in bytes: 50 million of four bytes, or fewer of eight.
const MOST_MEMORY: u64 = 256 << 20;
/// Pictures of more pixels are large: few people have one.
const LARGE_PIXELS: u64 = 12_000_000;
/// Size that a preview fits into, in pixels.
const PREVIEW: (u32, u32) = (480, 270);

/// Decoding takes a while of a core, so only so many at once.
static PLACES: Semaphore = Semaphore::const_new(2);
/// A large picture takes a few hundred MB, so only one of them at once; others need not wait behind it.
static LARGE: Semaphore = Semaphore::const_new(1);

/// A picture that this program wrote itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub bytes: Bytes,
    /// JPEG, or PNG if it has transparent parts.
    pub kind: PictureKind,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Picture { bytes, kind, width, height } = self;
        write!(formatter, "{kind:?} {width}x{height}, {} bytes", bytes.len())
    }
}

/// Takes in a JPEG, PNG or WebP file.
///
/// # Errors
/// [`Error::TooLarge`] over 20 MiB or 50 million pixels, [`Error::WrongKind`] for everything that is no such picture.
pub async fn picture(bytes: Vec<u8>) -> Result<Picture> {
    if bytes.len() > MOST_BYTES {
        return Err(too_large());
    }
    let kind = sniff_picture(&bytes).ok_or_else(|| Error::WrongKind(Message::new("media-no-such-picture")))?;
    working(is_large(&bytes, kind), move || write(upright(&bytes, kind)?)).await
}

/// Like [`picture`], made smaller where its longer side has more than `longest` pixels.
///
/// # Errors
/// As [`picture`].
pub async fn fitted_picture(bytes: Vec<u8>, longest: u32) -> Result<Picture> {
    if bytes.len() > MOST_BYTES {
        return Err(too_large());
    }
    let kind = sniff_picture(&bytes).ok_or_else(|| Error::WrongKind(Message::new("media-no-such-picture")))?;
    working(is_large(&bytes, kind), move || {
        let picture = upright(&bytes, kind)?;
        drop(bytes);
        let (width, height) = fitted((picture.width(), picture.height()), (longest, longest));
        if (width, height) == (picture.width(), picture.height()) {
            return write(picture);
        }
        let (from, to) = if picture.color().has_alpha() {
            (DynamicImage::from(picture.into_rgba8()), DynamicImage::from(RgbaImage::new(width, height)))
        } else {
            (DynamicImage::from(picture.into_rgb8()), DynamicImage::from(RgbImage::new(width, height)))
        };
        write(resized(&from, to)?)
    })
    .await
}

fn resized(from: &DynamicImage, mut to: DynamicImage) -> Result<DynamicImage> {
    let method = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(from, &mut to, &method).map_err(|cause| Error::Internal(cause.into()))?;
    Ok(to)
}

/// Like [`picture`], from a reader that is given up as soon as it has said too much.
///
/// # Errors
/// As [`picture`], and [`Error::Internal`] if reading fails.
pub async fn read_picture(reader: impl AsyncRead + Unpin) -> Result<Picture> {
    let mut bytes = Vec::new();
    reader.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).await?;
    picture(bytes).await
}

/// A small JPEG for walls of pictures, fitted into 480×270; never larger than the original.
///
/// # Errors
/// As [`picture`].
pub async fn preview(original: &Picture) -> Result<Picture> {
    let original = original.clone();
    working(is_large(&original.bytes, original.kind), move || {
        let pixels = opaque(upright(&original.bytes, original.kind)?);
        let (width, height) = fitted((original.width, original.height), PREVIEW);
        let to = DynamicImage::from(RgbImage::new(width, height));
        jpeg(&resized(&DynamicImage::from(pixels), to)?.into_rgb8(), 80)
    })
    .await
}

fn too_large() -> Error {
    Error::TooLarge(Message::new("media-picture-too-large").with("mib", MOST_BYTES >> 20))
}

/// Runs a decoder on the blocking pool. One that panics has met a broken picture, not a broken server.
async fn working(large: bool, work: impl FnOnce() -> Result<Picture> + Send + 'static) -> Result<Picture> {
    // In this order: a large picture that waits must not hold a place.
    let _alone = match large {
        true => Some(LARGE.acquire().await.map_err(|closed| Error::Internal(closed.into()))?),
        false => None,
    };
    let _place = PLACES.acquire().await.map_err(|closed| Error::Internal(closed.into()))?;
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|cause| {
        tracing::warn!(%cause, "a picture decoder gave up");
        Err(unreadable())
    })
}

/// By what its header says, which the decoder holds it to.
fn is_large(bytes: &[u8], kind: PictureKind) -> bool {
    let size = ImageReader::with_format(Cursor::new(bytes), format(kind)).into_dimensions();
    size.is_ok_and(|(width, height)| u64::from(width) * u64::from(height) > LARGE_PIXELS)
}

fn format(kind: PictureKind) -> ImageFormat {
    match kind {
        PictureKind::Jpeg => ImageFormat::Jpeg,
        PictureKind::Png => ImageFormat::Png,
        PictureKind::Webp => ImageFormat::WebP,
    }
}

fn unreadable() -> Error {
    Error::WrongKind(Message::new("media-picture-unreadable"))
}

/// Decodes with the decoder that the first bytes ask for, and turns the picture as its EXIF says.
fn upright(bytes: &[u8], kind: PictureKind) -> Result<DynamicImage> {
    let broken = |cause: image::ImageError| {
        tracing::info!(%cause, "a picture is not readable");
        match cause {
            image::ImageError::Limits(_) => Error::TooLarge(Message::new("media-picture-too-many-pixels")),
            _ => unreadable(),
        }
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format(kind));
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(Error::TooLarge(Message::new("media-picture-too-many-pixels")));
    }
    if decoder.total_bytes() > MOST_MEMORY {
        return Err(Error::TooLarge(Message::new("media-picture-too-deep")));
    }
    decoder.set_limits(limits).map_err(broken)?;
    let orientation = decoder.orientation().map_err(broken)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn write(picture: DynamicImage) -> Result<Picture> {
    if picture.color().has_alpha() {
        let pixels = picture.into_rgba8();
        if pixels.pixels().any(|pixel| pixel.0[3] != 255) {
            let (width, height) = pixels.dimensions();
            let mut bytes = Vec::new();
            pixels.write_with_encoder(PngEncoder::new(&mut bytes)).map_err(|cause| Error::Internal(cause.into()))?;
            return Ok(Picture { bytes: bytes.into(), kind: PictureKind::Png, width, height });
        }
        return jpeg(&DynamicImage::from(pixels).into_rgb8(), 90);
    }
    jpeg(&picture.into_rgb8(), 90)
}

fn jpeg(pixels: &RgbImage, quality: u8) -> Result<Picture> {
    let (width, height) = pixels.dimensions();
    let mut bytes = Vec::new();
    pixels
        .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))
        .map_err(|cause| Error::Internal(cause.into()))?;
    Ok(Picture { bytes: bytes.into(), kind: PictureKind::Jpeg, width, height })
}

/// Puts transparent parts on white.
fn opaque(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let (width, height) = picture.dimensions();
    let pixels = picture.into_rgba8();
    RgbImage::from_fn(width, height, |x, y| {
        let [red, green, blue, alpha] = pixels.get_pixel(x, y).0;
        let over_white = |value: u8| {
            let (value, alpha) = (u16::from(value), u16::from(alpha));
            ((value * alpha + 255 * (255 - alpha)) / 255) as u8
        };
        image::Rgb([over_white(red), over_white(green), over_white(blue)])
    })
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

    use image::{ImageEncoder, Rgba};

    use super::*;

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// Left half red, right half blue.
    fn halves(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, _| image::Rgb(if x < width / 2 { [255, 0, 0] } else { [0, 0, 255] }))
    }

    #[tokio::test]
    async fn every_kind_is_taken_in_and_written_anew() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let bytes = encoded(&halves(640, 360).into(), format);
            let picture = picture(bytes.clone()).await.unwrap();
            assert_eq!((picture.kind, picture.width, picture.height), (PictureKind::Jpeg, 640, 360), "{format:?}");
            assert_ne!(picture.bytes, bytes);
            assert_eq!(sniff_picture(&picture.bytes), Some(PictureKind::Jpeg));
        }
    }

    #[tokio::test]
    async fn transparency_is_kept_in_a_png_and_white_in_a_preview() {
        let clear = RgbaImage::from_pixel(100, 100, Rgba([0, 0, 0, 0]));
        let picture = picture(encoded(&clear.into(), ImageFormat::Png)).await.unwrap();
        assert_eq!(picture.kind, PictureKind::Png);
        let small = preview(&picture).await.unwrap();
        assert_eq!((small.kind, small.width, small.height), (PictureKind::Jpeg, 100, 100));
        let pixels = image::load_from_memory(&small.bytes).unwrap().into_rgb8();
        assert_eq!(pixels.get_pixel(50, 50).0, [255, 255, 255]);
    }

    #[tokio::test]
    async fn a_full_but_unused_alpha_channel_does_not_make_a_png() {
        let full = RgbaImage::from_pixel(100, 100, Rgba([9, 9, 9, 255]));
        assert_eq!(picture(encoded(&full.into(), ImageFormat::Png)).await.unwrap().kind, PictureKind::Jpeg);
    }

    #[tokio::test]
    async fn a_fitted_picture_keeps_its_shape_and_its_transparency() {
        let wide = encoded(&halves(2560, 1000).into(), ImageFormat::Png);
        let picture = fitted_picture(wide, 1280).await.unwrap();
        assert_eq!((picture.width, picture.height, picture.kind), (1280, 500, PictureKind::Jpeg));
        let clear = RgbaImage::from_pixel(100, 400, Rgba([0, 0, 0, 0]));
        let picture = fitted_picture(encoded(&clear.into(), ImageFormat::Png), 200).await.unwrap();
        assert_eq!((picture.width, picture.height, picture.kind), (50, 200, PictureKind::Png));
    }

    #[tokio::test]
    async fn a_picture_of_sixteen_bits_a_colour_may_have_fewer_pixels() {
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
        assert!(matches!(picture(header(16)).await, Err(Error::TooLarge(_))));
        assert!(matches!(picture(header(8)).await, Err(Error::WrongKind(_))));
    }

    #[tokio::test]
    async fn a_preview_fits_and_is_never_larger() {
        for ((width, height), expected) in
            [((1920, 1080), (480, 270)), ((1080, 1920), (152, 270)), ((200, 100), (200, 100)), ((3000, 2), (480, 1))]
        {
            let picture = picture(encoded(&halves(width, height).into(), ImageFormat::Png)).await.unwrap();
            let small = preview(&picture).await.unwrap();
            assert_eq!((small.width, small.height), expected);
            assert_eq!(small.kind, PictureKind::Jpeg);
        }
    }

    #[tokio::test]
    async fn exif_turns_the_picture_and_then_is_gone() {
        // Big-endian TIFF with one entry: orientation 6, "turn right"; then a word that must not survive.
        let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0secret-place";
        let pixels = halves(64, 32);
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
        encoder.set_exif_metadata(exif.to_vec()).unwrap();
        encoder.write_image(pixels.as_raw(), 64, 32, image::ExtendedColorType::Rgb8).unwrap();
        assert!(bytes.windows(12).any(|window| window == b"secret-place"));

        let picture = picture(bytes).await.unwrap();
        assert_eq!((picture.width, picture.height), (32, 64));
        assert!(!picture.bytes.windows(12).any(|window| window == b"secret-place"));
        let pixels = image::load_from_memory(&picture.bytes).unwrap().into_rgb8();
        assert!(pixels.get_pixel(16, 5).0[0] > 200, "the left half is on top now");
        assert!(pixels.get_pixel(16, 60).0[2] > 200);
    }

    #[tokio::test]
    async fn a_tail_behind_the_picture_is_gone() {
        let mut bytes = encoded(&halves(64, 32).into(), ImageFormat::Png);
        bytes.extend(b"<script>alert(1)</script>");
        let picture = picture(bytes).await.unwrap();
        assert!(!picture.bytes.windows(7).any(|window| window == b"<script"));
    }

    #[tokio::test]
    async fn what_is_no_picture_is_refused() {
        let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec();
        let html = b"<!doctype html><script>alert(1)</script>".to_vec();
        let cut = encoded(&halves(64, 32).into(), ImageFormat::Png)[..60].to_vec();
        let gif = b"GIF89a\x01\0\x01\0".to_vec();
        for bytes in [svg, html, cut, gif, Vec::new(), b"\xff\xd8\xff".to_vec(), b"\x89PNG\r\n\x1a\n".to_vec()] {
            let error = picture(bytes).await.unwrap_err();
            assert!(matches!(error, Error::WrongKind(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn a_picture_over_20_mib_is_refused_unread() {
        let endless = tokio::io::repeat(0xff);
        let error = read_picture(endless).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge(_)), "{error}");
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

    #[tokio::test]
    async fn a_picture_bomb_is_refused_quickly_and_cheaply() {
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
            let error = picture(bomb).await.unwrap_err();
            assert!(matches!(error, Error::TooLarge(_) | Error::WrongKind(_)), "{error}");
            assert!(before.elapsed().as_secs() < 2);
        }
        // Other tests run beside this one; the bomb alone would be 17 GB.
        assert!(peak_kib() - peak < 512 * 1024, "{} KiB", peak_kib() - peak);
    }
}
