//! What a running daemon says of poison when there is none.

use crate::common::demo;

#[test]
fn nothing_is_poison_until_it_has_crashed_something_twice() {
    let daemon = demo().start();
    let list = daemon.command(&["poison", "list"], b"").ok();
    assert_eq!(list.lines().count(), 1, "{list}");
    assert!(list.starts_with("ID  SINCE  WHAT"), "{list}");
    let json = daemon.command(&["poison", "list", "--json"], b"").ok();
    assert_eq!(json.trim(), "[]");
    for act in ["show", "retry", "drop"] {
        for (id, what) in [
            ("00000000000000ff", "command 00000000000000ff"),
            ("0000000000000000000000000000ff", "neither a message's id"),
        ] {
            let refused = daemon.command(&["poison", act, id], b"");
            assert!(!refused.status.success(), "{act} {id}");
            assert!(refused.text.contains(what), "{act} {id}: {}", refused.text);
        }
    }
}
