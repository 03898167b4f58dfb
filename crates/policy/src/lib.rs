//! Pure verdicts: whom to route to, whom to admit, when to retry.
//!
//! Facts come in, a verdict goes out: no disk, no clock, no chance that was not handed in. A new
//! rule is one function here with a table of cases.

pub mod admit;
pub mod folder;
pub mod mx;
pub mod retry;
pub mod route;
pub mod shape;
