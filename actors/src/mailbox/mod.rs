//! One actor per account: the only writer of its mailboxes.
