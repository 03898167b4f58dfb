//! What tests share: transcripts, fixtures, a simulated world.
