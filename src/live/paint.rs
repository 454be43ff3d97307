//! How ffmpeg is told to lay something over the picture (pure). No word of a person stands in a filter: texts come from
//! files beside the process, which runs in their folder, so that not even a path has to be quoted.

use serde::{Deserialize, Serialize};

use super::overlay::{Overlay, Place, RATE, SOUND_BITS, bits, size};
use crate::error::{Error, Result};
use crate::objects::{Extension, LocalFile};

/// The files with what is written; ffmpeg's working folder holds them.
pub(crate) const CAPTION: &str = "caption";
/// See [`CAPTION`].
pub(crate) const CLOCK: &str = "clock";
/// What ffmpeg makes the time of day from, with the process's zone.
pub(crate) const CLOCK_TEXT: &str = "%{localtime:%T}";

/// What is laid over the picture, as a keeper is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Painting {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Bits of picture a second.
    pub bits: u64,
    /// A picture.
    pub logo: Option<PaintedLogo>,
    /// A line of text.
    pub caption: Option<(String, Place)>,
    /// IANA zone of a clock.
    pub clock: Option<(String, Place)>,
}

/// A logo, made only from a file that a bucket handed out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaintedLogo {
    url: String,
    demuxer: String,
    /// Pixels.
    width: u32,
    place: Place,
}

impl PaintedLogo {
    pub(crate) fn path(&self) -> &str {
        self.url.strip_prefix("file:").unwrap_or(&self.url)
    }
}

impl Painting {
    /// `upright`: the picture is higher than wide. `logo` is the overlay's, if its file is (still) there.
    ///
    /// # Errors
    /// The logo's path is not UTF-8: the home folder has such a name.
    pub fn new(overlay: &Overlay, upright: bool, logo: Option<(&LocalFile, Extension)>) -> Result<Painting> {
        let (long, short) = size(overlay.profile);
        let (width, height) = if upright { (short, long) } else { (long, short) };
        let logo = match (&overlay.logo, logo) {
            (Some(wanted), Some((file, extension))) => {
                let url = file.ffmpeg_url().into_string().map_err(|_| anyhow::anyhow!("path is not UTF-8"));
                let demuxer = match extension {
                    Extension::Jpg => "jpeg_pipe",
                    Extension::Webp => "webp_pipe",
                    _ => "png_pipe",
                };
                Some(PaintedLogo {
                    url: url.map_err(Error::internal("planning an overlay"))?,
                    demuxer: demuxer.to_owned(),
                    width: (width * u32::from(wanted.percent) / 100).max(2),
                    place: wanted.place,
                })
            }
            _ => None,
        };
        Ok(Painting {
            width,
            height,
            bits: bits(overlay.profile),
            logo,
            caption: overlay.text.as_ref().map(|text| (text.text.clone(), text.place)),
            clock: overlay.clock.as_ref().map(|clock| (clock.time_zone.clone(), clock.place)),
        })
    }

    /// Arguments of the inputs that it needs.
    pub(crate) fn inputs(&self) -> Vec<String> {
        let logo = self.logo.iter();
        logo.flat_map(|logo| {
            let words = ["-protocol_whitelist", "file", "-f", &logo.demuxer, "-i", &logo.url];
            words.map(str::to_owned)
        })
        .collect()
    }

    /// The filters from the first input's picture to `[painted]`; `logo` is the number of the logo's input.
    pub(crate) fn filters(&self, logo: usize) -> String {
        let Painting { width, height, .. } = self;
        // Whatever comes is fitted into one frame, so that every video of a playlist looks alike to the platform. Pixels
        // may be wider than high (sar).
        let fit = format!("min({width}/(iw*sar),{height}/ih)");
        let mut chain = format!(
            "[0:v:0]yadif=deint=interlaced,fps={RATE},scale=w='max(2,2*trunc(iw*sar*{fit}/2))':\
             h='max(2,2*trunc(ih*{fit}/2))':out_range=tv,pad={width}:{height}:(ow-iw)/2:(oh-ih)/2,setsar=1,format=yuv420p"
        );
        if let Some(it) = &self.logo {
            let (x, y) = at(it.place, "W", "w", "H", "h", self.margin());
            chain.push_str(&format!(
                "[picture];[{logo}:v:0]scale=w={}:h=-1,format=rgba[logo];[picture][logo]overlay=x={x}:y={y}",
                it.width
            ));
        }
        if let Some((text, place)) = &self.caption {
            chain.push_str(&self.words(CAPTION, "none", self.letters(text.chars().count()), *place));
        }
        if let Some((_, place)) = &self.clock {
            chain.push_str(&self.words(CLOCK, "normal", self.letters(8), *place));
        }
        chain.push_str("[painted]");
        chain
    }

    fn words(&self, file: &str, expansion: &str, letters: u32, place: Place) -> String {
        let (x, y) = at(place, "w", "tw", "h", "th", self.margin());
        let border = (letters / 3).max(2);
        format!(
            ",drawtext=font=Sans:textfile={file}:expansion={expansion}:fontsize={letters}:fontcolor=white:box=1:\
             boxcolor=black@0.5:boxborderw={border}:x={x}:y={y}"
        )
    }

    /// From the edges, in pixels.
    fn margin(&self) -> u32 {
        self.width.min(self.height) / 24
    }

    /// Height of letters, in pixels: as large as reads well, smaller where a line would not fit.
    fn letters(&self, count: usize) -> u32 {
        let well = self.width.min(self.height) / 20;
        let room = (self.width - 4 * self.margin()) as usize;
        // Letters are a little more than half as wide as high.
        let fits = room * 10 / (6 * count.max(1));
        well.min(u32::try_from(fits).unwrap_or(well)).max(10)
    }

    /// Arguments that encode `[painted]` and the sound; `sound` is the number of the input with the sound.
    pub(crate) fn encoding(&self, logo: usize, sound: usize) -> Vec<String> {
        let (bits, keyframes) = (self.bits.to_string(), (2 * RATE).to_string());
        let words: [&str; 36] = [
            "-filter_complex",
            &self.filters(logo),
            "-map",
            "[painted]",
            "-map",
            &format!("{sound}:a:0"),
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-profile:v",
            "high",
            "-g",
            &keyframes,
            "-keyint_min",
            &keyframes,
            "-sc_threshold",
            "0",
            "-b:v",
            &bits,
            "-maxrate",
            &bits,
            "-bufsize",
            &(2 * self.bits).to_string(),
            "-threads",
            "2",
            "-af",
            // A hole in the sound becomes silence, not a jump.
            "aresample=48000:async=1",
            "-c:a",
            "aac",
            "-b:a",
            &SOUND_BITS.to_string(),
            "-ar",
            "48000",
            "-ac",
            "2",
        ];
        words.map(str::to_owned).to_vec()
    }
}

/// Where something of a size lies in a picture; the words are those of the filter.
fn at(place: Place, width: &str, own_width: &str, height: &str, own_height: &str, margin: u32) -> (String, String) {
    let x = match place {
        Place::TopLeft | Place::BottomLeft => format!("{margin}"),
        Place::Top | Place::Bottom => format!("({width}-{own_width})/2"),
        Place::TopRight | Place::BottomRight => format!("{width}-{own_width}-{margin}"),
    };
    let y = match place {
        Place::TopLeft | Place::Top | Place::TopRight => format!("{margin}"),
        Place::BottomLeft | Place::Bottom | Place::BottomRight => format!("{height}-{own_height}-{margin}"),
    };
    (x, y)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;

    use uuid::Uuid;

    use super::*;
    use crate::live::overlay::{Caption, ClockFace, Logo};
    use crate::media::Profile;

    pub(crate) fn everything() -> Painting {
        let overlay = Overlay {
            profile: Profile::Hd,
            logo: Some(Logo { thumbnail: Uuid::nil(), place: Place::TopRight, percent: 10 }),
            text: Some(Caption { text: "it's 100%: [a]\\,;'%{pts}".into(), place: Place::Bottom }),
            clock: Some(ClockFace { time_zone: "Asia/Jakarta".into(), place: Place::TopLeft }),
        };
        let file = LocalFile::for_test(PathBuf::from("/t/a:b's.png"));
        Painting::new(&overlay, false, Some((&file, Extension::Png))).unwrap()
    }

    const FIT: &str = "[0:v:0]yadif=deint=interlaced,fps=30,\
        scale=w='max(2,2*trunc(iw*sar*min(1280/(iw*sar),720/ih)/2))':h='max(2,2*trunc(ih*min(1280/(iw*sar),720/ih)/2))'\
        :out_range=tv,pad=1280:720:(ow-iw)/2:(oh-ih)/2,setsar=1,format=yuv420p";
    const LOGO: &str = "[picture];[2:v:0]scale=w=128:h=-1,format=rgba[logo];[picture][logo]overlay=x=W-w-30:y=30";
    const LOOK: &str = "fontcolor=white:box=1:boxcolor=black@0.5:boxborderw=12";

    #[test]
    fn each_thing_becomes_its_filter_and_no_persons_word_is_in_them() {
        let all = everything();
        let caption =
            format!(",drawtext=font=Sans:textfile=caption:expansion=none:fontsize=36:{LOOK}:x=(w-tw)/2:y=h-th-30");
        let clock = format!(",drawtext=font=Sans:textfile=clock:expansion=normal:fontsize=36:{LOOK}:x=30:y=30");
        assert_eq!(all.filters(2), format!("{FIT}{LOGO}{caption}{clock}[painted]"));
        assert!(!all.filters(2).contains("it's"));
        let table = [
            (Painting { caption: None, clock: None, ..all.clone() }, format!("{FIT}{LOGO}[painted]")),
            (Painting { logo: None, clock: None, ..all.clone() }, format!("{FIT}{caption}[painted]")),
            (Painting { logo: None, caption: None, ..all.clone() }, format!("{FIT}{clock}[painted]")),
        ];
        for (painting, expected) in table {
            assert_eq!(painting.filters(2), expected);
        }
        assert_eq!(all.inputs(), ["-protocol_whitelist", "file", "-f", "png_pipe", "-i", "file:/t/a:b's.png"]);
        assert_eq!(Painting { logo: None, ..all }.inputs(), [""; 0]);
    }

    #[test]
    fn a_long_line_is_written_small_enough_to_fit() {
        let painting = everything();
        assert_eq!(painting.letters(10), 36);
        let small = painting.letters(100);
        assert!((17..21).contains(&small), "{small}");
        let upright = Painting { width: 720, height: 1280, ..painting };
        assert!(upright.letters(40) < 36 && upright.letters(5) == 36);
    }

    #[test]
    fn a_logo_that_is_gone_is_left_out() {
        let overlay = Overlay {
            profile: Profile::FullHd,
            logo: Some(Logo { thumbnail: Uuid::nil(), place: Place::Top, percent: 10 }),
            text: None,
            clock: None,
        };
        let painting = Painting::new(&overlay, true, None).unwrap();
        assert_eq!((painting.width, painting.height, painting.logo), (1080, 1920, None));
    }
}
