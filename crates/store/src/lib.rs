//! The journal that is the truth, and the directory that can be thrown away.
