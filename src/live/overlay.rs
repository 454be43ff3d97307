//! What is laid over the picture of a stream: a logo, a line of text, a clock. It means encoding again for as long as
//! the stream is on air, so it has a price, which is told before it is saved and counted when it goes on air.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::admission::Weight;
use crate::error::{FieldError, Result};
use crate::library::names::is_hidden;
use crate::library::{Editor, Thumbnail};
use crate::media::Profile;
use crate::store::rows::Writer;
use crate::text::Message;

/// Letters of a text.
pub const LONGEST_TEXT: usize = 100;
/// Width of a logo, in hundredths of the picture's.
pub const LOGO_PERCENT: std::ops::RangeInclusive<u8> = 3..=40;

/// What is laid over the picture; at least one thing, each in a place of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// What the picture is encoded to.
    pub profile: Profile,
    /// A picture of the gallery.
    pub logo: Option<Logo>,
    /// A line.
    pub text: Option<Caption>,
    /// The time of day.
    pub clock: Option<ClockFace>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logo {
    /// A thumbnail of the library.
    pub thumbnail: Uuid,
    /// Where.
    pub place: Place,
    /// Its width, in hundredths of the picture's.
    pub percent: u8,
}

/// A line of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caption {
    /// 1 to 100 letters.
    pub text: String,
    /// Where.
    pub place: Place,
}

/// The time of day, with seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockFace {
    /// IANA zone.
    pub time_zone: String,
    /// Where.
    pub place: Place,
}

/// A place in the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OverlayPlace)]
pub enum Place {
    /// Upper left corner.
    TopLeft,
    /// Middle of the upper edge.
    Top,
    /// Upper right corner.
    TopRight,
    /// Lower left corner.
    BottomLeft,
    /// Middle of the lower edge.
    Bottom,
    /// Lower right corner.
    BottomRight,
}

impl Place {
    /// All of them, as they are read.
    pub const ALL: [Place; 6] =
        [Place::TopLeft, Place::Top, Place::TopRight, Place::BottomLeft, Place::Bottom, Place::BottomRight];

    /// The word of forms and the API.
    pub fn code(self) -> &'static str {
        match self {
            Place::TopLeft => "top_left",
            Place::Top => "top",
            Place::TopRight => "top_right",
            Place::BottomLeft => "bottom_left",
            Place::Bottom => "bottom",
            Place::BottomRight => "bottom_right",
        }
    }

    /// Reads [`Place::code`].
    pub fn parse(code: &str) -> Option<Place> {
        Place::ALL.into_iter().find(|place| place.code() == code)
    }
}

/// What one encoder takes that lays something over the picture, besides what a copy takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Thousandths of a processor core.
    pub cpu: u64,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Bits a second that are sent, sound included.
    pub bitrate: u64,
}

impl Price {
    /// Measured with moving pictures on ffmpeg 5.1, decoding of a source of the same size included, and a margin.
    pub fn of(profile: Profile) -> Price {
        match profile {
            Profile::Hd => Price { cpu: 700, memory_mib: 190, bitrate: bits(profile) + SOUND_BITS },
            Profile::FullHd => Price { cpu: 1500, memory_mib: 340, bitrate: bits(profile) + SOUND_BITS },
        }
    }

    /// With what decoding takes of a picture that is larger or faster than what comes out.
    pub(crate) fn for_source(profile: Profile, source: Weight) -> Price {
        let (width, height) = size(profile);
        let own = u64::from(width) * u64::from(height);
        let beyond = |all: u64, own: u64| all.saturating_sub(own).div_ceil(1_000_000);
        let price = Price::of(profile);
        Price {
            cpu: price.cpu + CPU_MEGAPIXEL * beyond(source.pixel_rate, own * u64::from(RATE)),
            memory_mib: price.memory_mib + MIB_MEGAPIXEL * beyond(source.pixels, own),
            ..price
        }
    }
}

/// Thousandths of a core for each million pixels a second, and MiB for each million pixels, that a source has more than
/// what comes out; measured likewise with 2160p and 1080p60.
const CPU_MEGAPIXEL: u64 = 2;
const MIB_MEGAPIXEL: u64 = 14;

/// Frames a second of what comes out.
pub(crate) const RATE: u32 = 30;

/// Bits of sound a second.
pub(crate) const SOUND_BITS: u64 = 128_000;

/// Pixels across and down of a picture that lies; one that stands has them the other way round.
pub fn size(profile: Profile) -> (u32, u32) {
    match profile {
        Profile::Hd => (1280, 720),
        Profile::FullHd => (1920, 1080),
    }
}

/// Bits of picture a second: within what platforms ask for.
pub(crate) fn bits(profile: Profile) -> u64 {
    match profile {
        Profile::Hd => 2_750_000,
        Profile::FullHd => 4_500_000,
    }
}

impl Overlay {
    /// Each place that is taken.
    fn places(&self) -> Vec<Place> {
        let logo = self.logo.as_ref().map(|logo| logo.place);
        let text = self.text.as_ref().map(|text| text.place);
        let clock = self.clock.as_ref().map(|clock| clock.place);
        [logo, text, clock].into_iter().flatten().collect()
    }

    /// Whether letters have to be drawn, which takes a font.
    pub fn has_words(&self) -> bool {
        self.text.is_some() || self.clock.is_some()
    }

    /// Without blanks around its text; complaints under `overlay…`. Whether the logo exists is looked up with
    /// [`check_logo`].
    pub(super) fn checked(&self, errors: &mut Vec<FieldError>) -> Overlay {
        let mut complain = |field: &str, message: Message| {
            errors.push(FieldError { field: format!("overlay{field}"), message });
        };
        let mut overlay = self.clone();
        let places = overlay.places();
        if places.is_empty() {
            complain("", Message::new("live-overlay-empty"));
        }
        if places.iter().enumerate().any(|(at, place)| places[..at].contains(place)) {
            complain(".places", Message::new("live-overlay-places"));
        }
        if let Some(text) = &mut overlay.text {
            text.text = text.text.trim().to_owned();
            let length = text.text.chars().count();
            if length == 0 || length > LONGEST_TEXT || text.text.chars().any(is_hidden) {
                complain(".text", Message::new("live-overlay-text").with("most", LONGEST_TEXT));
            }
        }
        if let Some(clock) = &mut overlay.clock {
            // As the system writes it, which takes no other case; ffmpeg would silently show UTC.
            let zone = crate::clock::zone(&clock.time_zone);
            match zone.as_ref().and_then(TimeZone::iana_name) {
                Some(name) => clock.time_zone = name.to_owned(),
                None => {
                    complain(".clock_zone", Message::new("live-overlay-zone").with("zone", clock.time_zone.as_str()));
                }
            }
        }
        if let Some(logo) = &overlay.logo
            && !LOGO_PERCENT.contains(&logo.percent)
        {
            let (least, most) = (*LOGO_PERCENT.start(), *LOGO_PERCENT.end());
            complain(".logo_percent", Message::new("live-overlay-percent").with("least", least).with("most", most));
        }
        overlay
    }
}

impl Editor {
    /// An overlay as it is stored. Without a font nothing can be written, so nothing that is new.
    pub(super) async fn checked_overlay(
        &self,
        wanted: Option<&Overlay>,
        had: Option<&Overlay>,
        errors: &mut Vec<FieldError>,
    ) -> Option<Overlay> {
        let overlay = wanted?.checked(errors);
        let is_new = !had.is_some_and(Overlay::has_words);
        if overlay.has_words() && is_new && !self.foundation().tools().can_write().await {
            let message = Message::new("live-overlay-no-font");
            errors.push(FieldError { field: "overlay".into(), message });
        }
        Some(overlay)
    }
}

/// Complains about a logo that is not there. What is found is asserted, so that it is not deleted meanwhile.
pub(super) fn check_logo(rows: &mut Writer<'_>, overlay: Option<&Overlay>, errors: &mut Vec<FieldError>) -> Result<()> {
    let Some(logo) = overlay.and_then(|overlay| overlay.logo.as_ref()) else { return Ok(()) };
    if rows.get::<Thumbnail>(logo.thumbnail)?.is_none_or(|row| row.value.going) {
        let message = Message::new("library-thumbnail-unknown");
        errors.push(FieldError { field: "overlay.logo".into(), message });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay() -> Overlay {
        Overlay {
            profile: Profile::Hd,
            logo: Some(Logo { thumbnail: Uuid::nil(), place: Place::TopRight, percent: 12 }),
            text: Some(Caption { text: " Radio hujan ".into(), place: Place::Bottom }),
            clock: Some(ClockFace { time_zone: "Asia/Jakarta".into(), place: Place::TopLeft }),
        }
    }

    fn complaints(change: impl FnOnce(&mut Overlay)) -> Vec<String> {
        let (mut overlay, mut errors) = (overlay(), Vec::new());
        change(&mut overlay);
        overlay.checked(&mut errors);
        errors.into_iter().map(|complaint| complaint.field).collect()
    }

    #[test]
    fn an_overlay_that_makes_no_sense_is_complained_about_by_field() {
        assert_eq!(overlay().checked(&mut Vec::new()).text.unwrap().text, "Radio hujan");
        assert_eq!(complaints(|_| ()), [""; 0]);
        assert_eq!(complaints(|it| (it.logo, it.text, it.clock) = (None, None, None)), ["overlay"]);
        assert_eq!(complaints(|it| it.clock.as_mut().unwrap().place = Place::Bottom), ["overlay.places"]);
        assert_eq!(complaints(|it| it.text.as_mut().unwrap().text = "  ".into()), ["overlay.text"]);
        assert_eq!(complaints(|it| it.text.as_mut().unwrap().text = "a\nb".into()), ["overlay.text"]);
        assert_eq!(complaints(|it| it.text.as_mut().unwrap().text = "a".repeat(101)), ["overlay.text"]);
        for hidden in ["a\0b", "a\rb", "a\tb", "a\u{1b}[0m", "a\u{202e}b"] {
            assert_eq!(complaints(|it| it.text.as_mut().unwrap().text = hidden.into()), ["overlay.text"], "{hidden:?}");
        }
        // What means something to ffmpeg means nothing here.
        for plain in
            ["50% off: it's [a];b,c", r"C:\path\%{pts}", "%{eif:1:x}", "'; [0:v]movie=/etc/passwd", "$(id) `id`"]
        {
            assert_eq!(complaints(|it| it.text.as_mut().unwrap().text = plain.into()), [""; 0], "{plain}");
        }
        for zone in ["", "Mars", "../../etc/passwd", ":/etc/passwd", "UTC0", "Asia/Jakarta\n"] {
            assert_eq!(complaints(|it| it.clock.as_mut().unwrap().time_zone = zone.into()), ["overlay.clock_zone"]);
        }
        let mut shouted = overlay();
        shouted.clock.as_mut().unwrap().time_zone = "asia/JAKARTA".into();
        assert_eq!(shouted.checked(&mut Vec::new()).clock.unwrap().time_zone, "Asia/Jakarta");
        assert_eq!(complaints(|it| it.logo.as_mut().unwrap().percent = 90), ["overlay.logo_percent"]);
    }

    #[test]
    fn the_price_grows_with_the_picture_and_its_source() {
        let (hd, full) = (Price::of(Profile::Hd), Price::of(Profile::FullHd));
        assert!(full.cpu > hd.cpu && full.memory_mib > hd.memory_mib && full.bitrate > hd.bitrate);
        let small = Weight { bitrate: 1, pixels: 1280 * 720, pixel_rate: 1280 * 720 * 30 };
        let large = Weight { bitrate: 1, pixels: 3840 * 2160, pixel_rate: 3840 * 2160 * 30 };
        assert_eq!(Price::for_source(Profile::Hd, small), hd);
        let dear = Price::for_source(Profile::Hd, large);
        assert_eq!((dear.cpu, dear.memory_mib, dear.bitrate), (1144, 302, hd.bitrate));
    }

    #[test]
    fn places_are_read_as_they_are_written() {
        for place in Place::ALL {
            assert_eq!(Place::parse(place.code()), Some(place));
            assert_eq!(serde_json::to_value(place).unwrap(), place.code());
        }
    }
}
