//! Answers from the DNS, kept as long as they are true.
