//! Says whether a password is right, without letting anybody guess.
