//! What the server says it can do (RFC 3501 §7.2.1). Only what is whole is in it.

/// The list for a client that is logged in or not.
pub(super) fn capabilities(logged_in: bool, starttls: bool, passwords: bool) -> String {
    let mut list = String::from(ALWAYS);
    if logged_in {
        return list;
    }
    if starttls {
        list.push_str(" STARTTLS");
    }
    list.push_str(match passwords {
        true => " AUTH=PLAIN AUTH=LOGIN",
        false => " LOGINDISABLED",
    });
    list
}

/// Clients decide by the first list they see: everything is in it from the beginning.
const ALWAYS: &str = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE CHILDREN SPECIAL-USE \
                      LIST-EXTENDED LIST-STATUS UIDPLUS MOVE UNSELECT QUOTA QUOTA=RES-STORAGE \
                      QUOTA=RES-MESSAGE";
