//! What a tenant may use, and what it does use; and how tenants come and go.

mod ledger;
mod plan;
mod records;
mod tenants;
mod verify;

pub use ledger::{Kind, Ledger, Reservation, Usage, change_limit, has_old_reservations, spend, usage};
pub use plan::Plan;
pub use records::{AuditPage, Whose};
pub(crate) use tenants::is_ending;
pub use tenants::{Account, MemberChange, NewMember, Removed, Streams, Tenancy};
pub use verify::Found;
