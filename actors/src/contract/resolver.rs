//! What the resolver hears.
