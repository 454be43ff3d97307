//! The test button.

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::Notices;
use super::desk::{Change, DeskEditor};
use super::rows::{Delivery, Destination, Fault, Way};
use super::ways::{Letter, Sent, Then};
use super::words::Reader as Reading;
use crate::error::Result;
use crate::text::{Locale, Message};

impl Notices {
    /// Sends a test to a destination and waits for what comes of it: nothing where it got there, else what happened
    /// and what to do. A chat that has moved is followed.
    ///
    /// # Errors
    /// [`Error::TooMany`] for who tests again and again.
    pub async fn test(&self, desk: &DeskEditor, id: Uuid, locale: Locale, zone: TimeZone) -> Result<Option<Message>> {
        let mut row = desk.destination(id).await?.row;
        self.shared.tests.count(format!("test {}", desk.user))?;
        let now = self.shared.foundation.clock().now();
        let reading = Reading { locale, zone, pages: None, now };
        let letter = Letter::test(&row.value.name, &reading);
        let tenant = desk.editor.tenant();
        let mut sent = self.send(tenant, id, &row.value.way, &letter).await?;
        if let (Sent::Moved(moved), Way::Telegram { chat, .. }) = (&sent, &mut row.value.way) {
            chat.clone_from(moved);
            let change = Change { chat: Some(moved.clone()), ..Change::default() };
            desk.change(id, None, change).await?;
            sent = self.send(tenant, id, &row.value.way, &letter).await?;
        }
        let off = matches!(sent, Sent::Not(_, Then::Off));
        let outcome = match sent {
            Sent::There => None,
            Sent::Not(message, _) => Some(message),
            Sent::Moved(_) => Some(Message::new("notice-fault-chat")),
        };
        let (noted, drawer) = (outcome.clone(), desk.drawer);
        desk.editor
            .rows()
            .write(move |rows| {
                let row = drawer.take(rows, id, None)?;
                let (key, at) = (Delivery::key(id), rows.now());
                let before: Delivery = rows.value(&key)?.unwrap_or_default();
                let after = match &noted {
                    // What waited for a repair goes now.
                    None => Delivery {
                        last_ok: Some(at),
                        fault: None,
                        failures: 0,
                        hold_until: None,
                        given_up: 0,
                        ..before
                    },
                    Some(message) => Delivery { fault: Some(Fault { at, message: message.clone() }), ..before },
                };
                rows.put_value(&key, &after)?;
                if off {
                    let changed = Destination { enabled: false, ..row.value.clone() };
                    rows.update(&row, changed)?;
                }
                Ok(())
            })
            .await?;
        Ok(outcome)
    }
}
