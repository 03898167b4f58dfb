//! IMAP as a machine without sockets: codec, session state, views, search.
