//! Pure verdicts: whom to route to, whom to admit, when to retry.
