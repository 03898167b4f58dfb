//! What a metric is, and how tracing is set up.
