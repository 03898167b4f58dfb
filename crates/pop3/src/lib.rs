//! POP3 as a machine without sockets.
