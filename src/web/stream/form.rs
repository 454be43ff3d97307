//! The form of a stream: what is typed, what the domain takes, and back again with what is wrong beside the field.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{Error, FieldError, Result};
use crate::live::overlay::{Caption, ClockFace, Logo, Overlay, Place};
use crate::live::stream::{LiveStream, MOST_TARGETS, NewStream, PlayOrder, StreamChange, Target, TargetInput};
use crate::live::target::Platform;
use crate::media::Profile;
use crate::schedule::Broadcast;
use crate::store::rows::Row;
use crate::text::Message;

/// As the browser sends it. Everything is optional to the reader, so that what is missing is said beside its field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct StreamForm {
    title: String,
    videos: Vec<String>,
    order: String,
    #[serde(rename = "loop")]
    repeat: Option<String>,
    overlay: Option<String>,
    overlay_profile: String,
    overlay_logo: String,
    overlay_logo_place: String,
    overlay_logo_percent: String,
    overlay_text: String,
    overlay_text_place: String,
    overlay_clock: Option<String>,
    overlay_clock_place: String,
    overlay_clock_zone: String,
    target1_platform: String,
    target1_url: String,
    target1_key: String,
    target2_platform: String,
    target2_url: String,
    target2_key: String,
    target3_platform: String,
    target3_url: String,
    target3_key: String,
    target4_platform: String,
    target4_url: String,
    target4_key: String,
    target1_key_id: String,
    target2_key_id: String,
    target3_key_id: String,
    target4_key_id: String,
}

/// One of the four places of the form.
struct Slot<'f> {
    platform: &'f str,
    url: &'f str,
    key: &'f str,
    key_id: &'f str,
}

impl StreamForm {
    fn slots(&self) -> [Slot<'_>; MOST_TARGETS] {
        [
            Slot {
                platform: &self.target1_platform,
                url: &self.target1_url,
                key: &self.target1_key,
                key_id: &self.target1_key_id,
            },
            Slot {
                platform: &self.target2_platform,
                url: &self.target2_url,
                key: &self.target2_key,
                key_id: &self.target2_key_id,
            },
            Slot {
                platform: &self.target3_platform,
                url: &self.target3_url,
                key: &self.target3_key,
                key_id: &self.target3_key_id,
            },
            Slot {
                platform: &self.target4_platform,
                url: &self.target4_url,
                key: &self.target4_key,
                key_id: &self.target4_key_id,
            },
        ]
    }

    fn chosen(&self) -> impl Iterator<Item = &str> {
        self.videos.iter().map(String::as_str).filter(|id| !id.is_empty())
    }

    /// The videos that are chosen, as far as they are ids.
    pub fn video_ids(&self) -> Vec<Uuid> {
        self.chosen().filter_map(|id| Uuid::parse_str(id).ok()).collect()
    }

    /// The fields of keys that were typed: a page never sends a key back.
    pub fn typed_keys(&self) -> Vec<String> {
        let typed = self.slots().into_iter().enumerate().filter(|(_, slot)| !slot.key.trim().is_empty());
        typed.map(|(place, _)| format!("target{}_key", place + 1)).collect()
    }

    /// The stream that is typed; `old` are the targets that it has already, in the order of the form.
    ///
    /// # Errors
    /// Complaints under the names of the form's fields.
    pub fn parse(&self, old: &[Target]) -> Result<NewStream> {
        let mut errors = Vec::new();
        let mut complain = |field: &str, id: &'static str| {
            errors.push(FieldError { field: field.to_owned(), message: Message::new(id) });
        };
        let videos = self.chosen().filter_map(|id| {
            let parsed = Uuid::parse_str(id).ok();
            if parsed.is_none() {
                complain("videos", "stream-video-unknown");
            }
            parsed
        });
        let videos = videos.collect();
        let order = match self.order.as_str() {
            "" | "listed" => PlayOrder::Listed,
            "shuffled" => PlayOrder::Shuffled,
            _ => {
                complain("order", "choice-unknown");
                PlayOrder::Listed
            }
        };
        let mut targets = Vec::new();
        for (place, slot) in self.slots().into_iter().enumerate() {
            let number = place + 1;
            let key_id = Uuid::parse_str(slot.key_id).ok();
            if !slot.key_id.is_empty() && key_id.is_none() {
                complain(&format!("target{number}_key_id"), "live-kept-key-unknown");
                continue;
            }
            let platform = match (slot.platform, Platform::parse(slot.platform)) {
                // A kept key says the platform.
                ("", _) if key_id.is_some() => Platform::Youtube,
                ("", _) if slot.url.trim().is_empty() && slot.key.is_empty() => continue,
                ("", _) => {
                    complain(&format!("target{number}_platform"), "stream-platform-missing");
                    continue;
                }
                (_, None) => {
                    complain(&format!("target{number}_platform"), "choice-unknown");
                    continue;
                }
                (_, Some(platform)) => platform,
            };
            targets.push(TargetInput {
                // A place that was empty has no key to keep: nil is nobody's id.
                id: Some(old.get(place).map_or(Uuid::nil(), |target| target.id)),
                platform,
                url: Some(slot.url.to_owned()),
                key: Some(slot.key.to_owned()),
                key_id,
            });
        }
        let overlay = self.typed_overlay(&mut complain);
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let (title, repeat) = (self.title.clone(), self.repeat.is_some());
        let broadcast = Broadcast::default();
        Ok(NewStream { title, videos, order, repeat, overlay, targets, broadcast })
    }

    fn typed_overlay(&self, complain: &mut impl FnMut(&str, &'static str)) -> Option<Overlay> {
        self.overlay.as_ref()?;
        let mut place = |field: &str, code: &str, usual: Place| match code {
            "" => usual,
            code => Place::parse(code).unwrap_or_else(|| {
                complain(field, "choice-unknown");
                usual
            }),
        };
        let logo_place = place("overlay_logo_place", &self.overlay_logo_place, Place::TopRight);
        let text_place = place("overlay_text_place", &self.overlay_text_place, Place::Bottom);
        let clock_place = place("overlay_clock_place", &self.overlay_clock_place, Place::TopLeft);
        let profile = match self.overlay_profile.as_str() {
            "" => Profile::Hd,
            code => Profile::parse(code).unwrap_or_else(|| {
                complain("overlay_profile", "choice-unknown");
                Profile::Hd
            }),
        };
        let thumbnail = match self.overlay_logo.as_str() {
            "" => None,
            id => Uuid::parse_str(id).ok().or_else(|| {
                complain("overlay_logo", "library-thumbnail-unknown");
                None
            }),
        };
        // What is no number is no width that is offered either.
        let percent = match self.overlay_logo_percent.trim() {
            "" => 12,
            percent => percent.parse().unwrap_or(0),
        };
        let text = Some(&self.overlay_text).filter(|text| !text.trim().is_empty());
        Some(Overlay {
            profile,
            logo: thumbnail.map(|thumbnail| Logo { thumbnail, place: logo_place, percent }),
            text: text.map(|text| Caption { text: text.clone(), place: text_place }),
            clock: self
                .overlay_clock
                .as_ref()
                .map(|_| ClockFace { time_zone: self.overlay_clock_zone.trim().to_owned(), place: clock_place }),
        })
    }

    /// The domain counts the targets that were typed; the form counts its places.
    pub fn beside_fields(&self, error: Error) -> Error {
        let Error::Invalid(fields) = error else { return error };
        let typed = |slot: &Slot<'_>| !slot.platform.is_empty() || !slot.key_id.is_empty();
        let slots = self.slots();
        let places: Vec<usize> =
            slots.iter().enumerate().filter(|(_, slot)| typed(slot)).map(|(place, _)| place + 1).collect();
        let renamed = |name: &str| -> Option<String> {
            if let Some(part) = name.strip_prefix("overlay.") {
                return Some(format!("overlay_{part}"));
            }
            let mut parts = name.strip_prefix("targets.")?.splitn(2, '.');
            let place = places.get(parts.next()?.parse::<usize>().ok()?)?;
            Some(format!("target{place}_{}", parts.next().unwrap_or("url")))
        };
        let fields = fields.into_iter().map(|complaint| match renamed(&complaint.field) {
            Some(field) => FieldError { field, ..complaint },
            None => complaint,
        });
        Error::Invalid(fields.collect())
    }
}

/// Everything that the form shows, as a change.
pub(super) fn change_of(new: NewStream) -> StreamChange {
    StreamChange {
        title: Some(new.title),
        videos: Some(new.videos),
        order: Some(new.order),
        repeat: Some(new.repeat),
        overlay: Some(new.overlay),
        targets: Some(new.targets),
        broadcast: None,
    }
}

/// The word of forms and the API.
pub(crate) fn order_code(order: PlayOrder) -> &'static str {
    match order {
        PlayOrder::Listed => "listed",
        PlayOrder::Shuffled => "shuffled",
    }
}

/// The form of a stream as it is stored.
pub(super) fn filled(row: &Row<LiveStream>) -> Value {
    let mut form = fields(&row.value);
    form["version"] = json!(row.version.to_string());
    form
}

fn fields(stream: &LiveStream) -> Value {
    let mut form = json!({
        "title": stream.title,
        "order": order_code(stream.order),
        "loop": stream.repeat,
        "videos": stream.videos,
    });
    if let Some(overlay) = &stream.overlay {
        form["overlay"] = json!(true);
        form["overlay_profile"] = json!(overlay.profile.code());
        if let Some(logo) = &overlay.logo {
            form["overlay_logo"] = json!(logo.thumbnail);
            form["overlay_logo_place"] = json!(logo.place.code());
            form["overlay_logo_percent"] = json!(logo.percent.to_string());
        }
        if let Some(text) = &overlay.text {
            form["overlay_text"] = json!(text.text);
            form["overlay_text_place"] = json!(text.place.code());
        }
        if let Some(clock) = &overlay.clock {
            form["overlay_clock"] = json!(true);
            form["overlay_clock_place"] = json!(clock.place.code());
            form["overlay_clock_zone"] = json!(clock.time_zone);
        }
    }
    for (place, target) in stream.targets.iter().enumerate() {
        let url = target.url.as_ref().map(ToString::to_string).unwrap_or_default();
        form[format!("target{}_platform", place + 1)] = json!(target.platform.code());
        form[format!("target{}_url", place + 1)] = json!(url);
        if let Some(key) = target.key_id {
            form[format!("target{}_key_id", place + 1)] = json!(key);
        }
    }
    form
}

/// The form of a new stream.
pub(super) fn empty(videos: &[Uuid]) -> Value {
    json!({ "order": "listed", "loop": true, "videos": videos })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str) -> StreamForm {
        serde_html_form::from_str(form).unwrap()
    }

    #[test]
    fn a_form_is_read_as_it_stands() {
        let id = "0199f0a2-7c1e-7a00-8000-000000000001";
        let form = read(&format!(
            "title=Rain&videos={id}&videos=&order=shuffled&loop=on&target1_platform=&target1_url=&target1_key=\
             &target2_platform=custom&target2_url=rtmp://x.example/live&target2_key=secret-key"
        ));
        let new = form.parse(&[]).unwrap();
        assert_eq!((new.title.as_str(), new.videos.len(), new.repeat), ("Rain", 1, true));
        assert_eq!(new.order, PlayOrder::Shuffled);
        assert_eq!((new.targets.len(), new.targets[0].platform), (1, Platform::Custom));
        assert_eq!(new.targets[0].key.as_deref(), Some("secret-key"));
    }

    #[test]
    fn an_overlay_is_read_as_it_was_typed_and_comes_back() {
        let form = "overlay_profile=1080p30&overlay_logo=0199f0a2-7c1e-7a00-8000-000000000001\
                    &overlay_logo_place=bottom_left&overlay_logo_percent=20&overlay_text=+&overlay_text_place=top\
                    &overlay_clock=on&overlay_clock_zone=Asia/Jakarta&overlay_clock_place=";
        assert_eq!(read(form).parse(&[]).unwrap().overlay, None, "only if it is wanted");
        let overlay = read(&format!("{form}&overlay=on")).parse(&[]).unwrap().overlay.unwrap();
        assert_eq!((overlay.profile, overlay.text.clone()), (Profile::FullHd, None));
        let logo = overlay.logo.as_ref().unwrap();
        assert_eq!((logo.place, logo.percent), (Place::BottomLeft, 20));
        assert_eq!(overlay.clock.as_ref().unwrap().place, Place::TopLeft);
        let (title, order, targets) = (String::new(), PlayOrder::Listed, Vec::new());
        let (videos, broadcast) = (vec![], Broadcast::default());
        let stored = LiveStream { title, videos, order, repeat: true, overlay: Some(overlay), targets, broadcast };
        let again = fields(&stored);
        assert_eq!(
            (&again["overlay_logo_percent"], &again["overlay_clock_zone"]),
            (&json!("20"), &json!("Asia/Jakarta"))
        );
        let Err(Error::Invalid(fields)) =
            read("overlay=on&overlay_logo=x&overlay_profile=8k&overlay_text_place=middle").parse(&[])
        else {
            panic!()
        };
        let names: Vec<_> = fields.iter().map(|complaint| complaint.field.as_str()).collect();
        assert_eq!(names, ["overlay_text_place", "overlay_profile", "overlay_logo"]);
        let beside = read("").beside_fields(Error::field("overlay.places", Message::new("live-overlay-places")));
        let Error::Invalid(fields) = beside else { panic!() };
        assert_eq!(fields[0].field, "overlay_places");
    }

    #[test]
    fn complaints_stand_beside_the_fields_of_the_form() {
        let form = read("title=x&target3_platform=custom&target3_url=nonsense");
        let refused = Error::field("targets.0.url", Message::new("live-url-scheme"));
        let Error::Invalid(fields) = form.beside_fields(refused) else { panic!() };
        assert_eq!(fields[0].field, "target3_url");
        let form = read("videos=x&order=up&target1_key=abc&target2_platform=mars");
        let Err(Error::Invalid(fields)) = form.parse(&[]) else { panic!() };
        let names: Vec<_> = fields.iter().map(|complaint| complaint.field.as_str()).collect();
        assert_eq!(names, ["videos", "order", "target1_platform", "target2_platform"]);
        assert!(serde_html_form::from_str::<StreamForm>("owner=bo").is_err());
    }
}
