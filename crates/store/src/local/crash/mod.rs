//! What the store does when the disk fails, the power is cut, or the process is killed.

mod compaction;
mod faults;
mod forged;
mod formats;
mod house;
mod lives;
mod moments;
mod openings;
mod rotten;
mod schedules;
