//! What a tenant may use, and what it does use.

mod ledger;
mod plan;

pub use ledger::{Kind, Ledger, Reservation, Usage, change_limit, has_old_reservations, spend, usage};
pub use plan::Plan;
