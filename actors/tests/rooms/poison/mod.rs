//! A message that brings an actor down every time, with the actors around it for real.

mod cursed;
mod set_aside;
