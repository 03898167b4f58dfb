//! Others' scripts: what imaptest expects of a server.

use std::fs;

use testkit::suites;

use super::{house::House, script::Script};

#[tokio::test]
async fn the_session_does_what_the_scripts_of_imaptest_expect() {
    let Some(folder) = suites().map(|suites| suites.join("scripts/imaptest")) else {
        eprintln!("left out: the scripts of imaptest are not there; set HERONRY_SUITES");
        return;
    };
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".mbox"))
        .collect();
    names.sort();
    let mut played = 0;
    for name in names {
        let script = Script::read(&folder, &name);
        let house = House::new().await;
        let capability = house.ann().await.ok("CAPABILITY").await.lines().concat();
        if script.lacks(&capability).is_some() {
            continue; // of a capability that we do not have yet
        }
        script.play(&house).await;
        played += 1;
    }
    assert!(played >= 36, "only {played} scripts were played");
}
