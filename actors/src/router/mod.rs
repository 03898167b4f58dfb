//! From an accepted message to local mailboxes and remote domain queues.
