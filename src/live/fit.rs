//! How the videos of a playlist go together, told when a stream is planned: those of one make are sent in one piece by
//! copy; the others are played all the same, each by itself, with a moment between two.

use std::collections::HashMap;

use uuid::Uuid;

use crate::error::Result;
use crate::library::Library;
use crate::media::{Facts, compatible, differences};
use crate::text::Message;

/// How the videos of a playlist go together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fit {
    /// Those that are not like most, in the order of the playlist, each once.
    pub odd: Vec<Odd>,
}

/// A video that is not like most of its playlist.
#[derive(Debug, Clone, PartialEq)]
pub struct Odd {
    /// Which.
    pub video: Uuid,
    /// What it has in place of what the others have.
    pub reasons: Vec<Message>,
}

impl Fit {
    /// Whether one encoder can send them all in one piece.
    pub fn is_together(&self) -> bool {
        self.odd.is_empty()
    }

    /// Why a video is sent by itself.
    pub fn reasons(&self, video: Uuid) -> &[Message] {
        self.odd.iter().find(|odd| odd.video == video).map_or(&[], |odd| &odd.reasons)
    }

    /// Compares each video with the make that most places of the playlist have; the first one where several have.
    pub fn of(playlist: &[(Uuid, &Facts)]) -> Fit {
        // One video of each make, and how many places have it.
        let mut makes: Vec<(&Facts, usize)> = Vec::new();
        let mut make_of: HashMap<Uuid, usize> = HashMap::new();
        for (video, facts) in playlist {
            let known = make_of.get(video).copied();
            let make = known.or_else(|| makes.iter().position(|(make, _)| compatible(make, facts)));
            let make = make.unwrap_or_else(|| {
                makes.push((*facts, 0));
                makes.len() - 1
            });
            makes[make].1 += 1;
            make_of.insert(*video, make);
        }
        let most = makes.iter().map(|(_, places)| *places).max().unwrap_or(0);
        let Some(usual) = makes.iter().position(|(_, places)| *places == most) else { return Fit::default() };
        let mut odd: Vec<Odd> = Vec::new();
        for (video, facts) in playlist {
            if make_of.get(video) != Some(&usual) && odd.iter().all(|told| told.video != *video) {
                odd.push(Odd { video: *video, reasons: differences(makes[usual].0, facts) });
            }
        }
        Fit { odd }
    }
}

impl Library {
    /// How the videos of a playlist go together; those that are gone are passed over.
    pub async fn playlist_fit(&self, videos: &[Uuid]) -> Result<Fit> {
        let known = self.videos_by_id(videos.to_vec()).await?;
        let playlist: Vec<(Uuid, &Facts)> =
            videos.iter().filter_map(|id| known.get(id).map(|row| (*id, &row.value.facts))).collect();
        Ok(Fit::of(&playlist))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::verdict::tests::good;

    #[test]
    fn the_odd_one_out_is_named_wherever_it_stands_and_once() {
        let (hd, small) = (good(), {
            let mut facts = good();
            facts.video.width = 640;
            facts
        });
        let [a, b, c] = [1, 2, 3].map(Uuid::from_u128);
        for playlist in [[(a, &small), (b, &hd), (c, &hd)], [(b, &hd), (a, &small), (c, &hd)]] {
            let fit = Fit::of(&playlist);
            let odd: Vec<Uuid> = fit.odd.iter().map(|odd| odd.video).collect();
            assert_eq!(odd, [a]);
            assert_eq!(fit.reasons(a)[0].to_string(), "640×720 instead of 1280×720");
            assert!(fit.reasons(b).is_empty());
        }
        let fit = Fit::of(&[(a, &small), (b, &hd), (a, &small), (c, &hd)]);
        assert_eq!(fit.odd.iter().map(|odd| odd.video).collect::<Vec<_>>(), [b, c], "the first counts");
        assert!(Fit::of(&[(b, &hd), (c, &hd), (b, &hd)]).is_together());
        assert!(Fit::of(&[]).is_together());
    }
}
