//! Schedules that somebody intends to make, judged as if those intended before were made already: what a plan promises is
//! what comes.

use std::collections::HashSet;

use super::calls::{JUST_NOW, MOST_SCHEDULES, refuse_past};
use super::conflicts::{booked_on, refuse_taken, windows};
use super::recurrence::occurrences;
use super::{Schedule, ScheduleInput};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::library::Library;
use crate::store::rows::Reader;
use crate::text::Message;

struct One {
    keys: HashSet<String>,
    schedule: Schedule,
    title: String,
}

/// Schedules of one library, none of which is made yet.
#[derive(Default)]
pub(crate) struct Intended {
    all: Vec<One>,
}

impl Intended {
    /// Intends one more, on a stream called `title` that goes to `keys`; `library` is absent where it is to be made too.
    ///
    /// # Errors
    /// As [`crate::library::Editor::create_schedule`].
    pub(crate) async fn add(
        &mut self,
        foundation: &Foundation,
        library: Option<&Library>,
        (title, keys): (&str, HashSet<String>),
        input: &ScheduleInput,
    ) -> Result<()> {
        let schedule = input.check()?;
        let after = foundation.clock().now() - JUST_NOW;
        refuse_past(&schedule, after)?;
        let Some(first) = occurrences(&schedule, after).next().map(|first| first.start) else { return Ok(()) };
        let (there, mut taken) = match library {
            Some(library) => {
                let (own, keys, waits) = (library.clone(), keys.clone(), schedule.paused);
                let look = move |rows: &Reader<'_>| {
                    let mut there = 0;
                    rows.each::<Schedule>(false, |_| {
                        there += 1;
                        std::ops::ControlFlow::Continue(())
                    })?;
                    let booked = || booked_on(&own, rows, None, (None, &keys), first);
                    Ok((there, if waits { Vec::new() } else { booked()? }))
                };
                match library.rows().read(look).await {
                    Err(Error::NotFound) => (0, Vec::new()),
                    looked => looked?,
                }
            }
            None => (0, Vec::new()),
        };
        if there + self.all.len() >= MOST_SCHEDULES {
            return Err(Error::OverQuota(Message::new("schedule-many").with("most", MOST_SCHEDULES)));
        }
        if !schedule.paused {
            let others = self.all.iter().filter(|other| !other.schedule.paused && !other.keys.is_disjoint(&keys));
            for other in others {
                taken.extend(windows(&other.schedule, first).map(|window| (window, other.title.clone())));
            }
            taken.sort_by_key(|(window, _)| *window);
            refuse_taken(&schedule, after, first, &taken)?;
        }
        self.all.push(One { keys, schedule, title: title.to_owned() });
        Ok(())
    }
}
