//! The octets of each record format, for ever.
