//! Whether videos can follow each other in one go, and if not, what is in the way.

use super::{AudioFacts, Facts, VideoFacts};
use crate::text::Message;

/// Whether one may follow the other in a playlist that is sent by copy.
pub fn compatible(one: &Facts, other: &Facts) -> bool {
    differences(one, other).is_empty()
}

/// Why `other` cannot follow `first` in a playlist that is sent by copy: what it has in place of what; nothing where it
/// can.
pub fn differences(first: &Facts, other: &Facts) -> Vec<Message> {
    let mut found = Vec::new();
    if first.container.demuxer() != other.container.demuxer() {
        let (has, wanted) = (other.container.extension(), first.container.extension());
        found.push(Message::new("media-differs-container").with("has", has).with("wanted", wanted));
    }
    picture(&first.video, &other.video, &mut found);
    match (&first.audio, &other.audio) {
        (None, None) => {}
        (Some(_), None) => found.push(Message::new("media-differs-silent")),
        (None, Some(_)) => found.push(Message::new("media-differs-sound")),
        (Some(first), Some(other)) => sound(first, other, &mut found),
    }
    found
}

fn picture(first: &VideoFacts, other: &VideoFacts, found: &mut Vec<Message>) {
    let before = found.len();
    let size = |video: &VideoFacts| format!("{}×{}", video.width, video.height);
    let shape = |video: &VideoFacts| (video.width, video.height, video.rotation, video.interlaced);
    if first.codec != other.codec {
        let (has, wanted) = (other.codec.as_str(), first.codec.as_str());
        found.push(Message::new("media-differs-codec").with("has", has).with("wanted", wanted));
    }
    if (first.width, first.height) != (other.width, other.height) {
        found.push(Message::new("media-differs-size").with("has", size(other)).with("wanted", size(first)));
    } else if shape(first) != shape(other) {
        found.push(Message::new("media-differs-shape"));
    }
    if (first.frame_rate - other.frame_rate).abs() >= 0.01 {
        let message = Message::new("media-differs-rate").with("has", other.frame_rate);
        found.push(message.with("wanted", first.frame_rate));
    }
    let fine = |video: &VideoFacts| {
        (video.profile.clone(), video.pixel_format.clone(), video.time_base.clone(), video.extradata.clone())
    };
    // With another size or codec these differ too, which says nothing more to anybody.
    if found.len() == before && fine(first) != fine(other) {
        found.push(Message::new("media-differs-settings"));
    }
}

fn sound(first: &AudioFacts, other: &AudioFacts, found: &mut Vec<Message>) {
    let before = found.len();
    if first.codec != other.codec {
        let (has, wanted) = (other.codec.as_str(), first.codec.as_str());
        found.push(Message::new("media-differs-sound-codec").with("has", has).with("wanted", wanted));
    }
    if first.sample_rate != other.sample_rate {
        let message = Message::new("media-differs-sound-rate").with("has", f64::from(other.sample_rate) / 1000.0);
        found.push(message.with("wanted", f64::from(first.sample_rate) / 1000.0));
    }
    if first.channels != other.channels {
        let message = Message::new("media-differs-channels").with("has", other.channels);
        found.push(message.with("wanted", first.channels));
    }
    let fine = |sound: &AudioFacts| (sound.profile.clone(), sound.time_base.clone(), sound.extradata.clone());
    if found.len() == before && fine(first) != fine(other) {
        found.push(Message::new("media-differs-sound-settings"));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Container;
    use super::super::verdict::tests::good;
    use super::*;
    use crate::text::Locale;

    fn heard(facts: &mut Facts) -> &mut AudioFacts {
        facts.audio.as_mut().unwrap()
    }

    #[rstest]
    #[case::nothing(|_: &mut Facts| (), &[])]
    #[case::length(|f: &mut Facts| { f.duration = 99.0; f.bitrate = 1 }, &[])]
    #[case::container(|f: &mut Facts| f.container = Container::Matroska, &["container"])]
    #[case::twin_container(|f: &mut Facts| f.container = Container::Mov, &[])]
    #[case::codec(|f: &mut Facts| { f.video.codec = "hevc".into(); f.video.extradata = None }, &["codec"])]
    #[case::size(|f: &mut Facts| { f.video.width = 640; f.video.extradata = None }, &["size"])]
    #[case::on_its_side(|f: &mut Facts| f.video.rotation = 90, &["shape"])]
    #[case::rate(|f: &mut Facts| f.video.frame_rate = 25.0, &["rate"])]
    #[case::settings(|f: &mut Facts| f.video.extradata = Some("SHA256:9".into()), &["settings"])]
    #[case::silent(|f: &mut Facts| f.audio = None, &["silent"])]
    #[case::sound_codec(|f: &mut Facts| heard(f).codec = "mp3".into(), &["sound-codec"])]
    #[case::sound_rate(|f: &mut Facts| heard(f).sample_rate = 44_100, &["sound-rate"])]
    #[case::channels(|f: &mut Facts| heard(f).channels = 1, &["channels"])]
    #[case::sound_settings(|f: &mut Facts| heard(f).extradata = None, &["sound-settings"])]
    #[case::two(|f: &mut Facts| { f.video.width = 640; heard(f).channels = 1 }, &["size", "channels"])]
    fn what_is_in_the_way_is_named(#[case] change: fn(&mut Facts), #[case] expected: &[&str]) {
        let mut other = good();
        change(&mut other);
        let found = differences(&good(), &other);
        let names: Vec<&str> = found.iter().map(|message| message.id.strip_prefix("media-differs-").unwrap()).collect();
        assert_eq!(names, expected);
        assert_eq!(differences(&other, &good()).is_empty(), expected.is_empty());
        for message in found {
            for locale in [Locale::En, Locale::Id] {
                let text = message.in_locale(locale);
                assert!(text.contains(' ') && !text.contains('{'), "{text}");
            }
        }
    }

    #[test]
    fn a_silent_video_is_told_from_one_with_sound() {
        let silent = Facts { audio: None, ..good() };
        assert_eq!(differences(&silent, &good())[0].id, "media-differs-sound");
        assert!(compatible(&silent, &silent));
    }
}
