//! SMTP and LMTP as machines without sockets, server and client.
