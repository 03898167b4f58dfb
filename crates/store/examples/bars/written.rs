//! What is written for each octet of mail.

use std::path::Path;

use heronry_store::{Compress, Config};

use crate::{
    files::size,
    house::House,
    process::{cpu, written_octets},
};

/// How a message comes into a mailbox.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// As it is accepted (ADR 0019).
    Home,
    /// From the spool, in a second step.
    Spool,
}

/// What the process writes for each octet of mail that is accepted and delivered, with messages of
/// that size, or of two.
pub(crate) fn written(folder: &Path, octets: Option<usize>) {
    println!(
        "| message octets | way | compress | messages | written per octet | of it to the journal | CPU µs \
         each | accept p50 / p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let sizes = octets.map_or_else(|| vec![4096, 100 * 1024], |octets| vec![octets]);
    for octets in sizes {
        let count = (240 << 20) / octets;
        for (way, compress) in [
            (Way::Home, Compress::Never),
            (Way::Home, Compress::Always),
            (Way::Spool, Compress::Never),
            (Way::Spool, Compress::Always),
        ] {
            let folder = tempfile::tempdir_in(folder).unwrap();
            let config = Config {
                compress,
                ..Config::new(folder.path())
            };
            let house = House::open(config);
            let (before, cpu) = (written_octets(), cpu());
            let mut latencies = match way {
                Way::Home => house.accept_home(octets, count),
                Way::Spool => house.accept_and_deliver(octets, count),
            };
            let cpu = self::cpu() - cpu;
            house.store.close().unwrap();
            drop(house);
            let mail = (octets * count) as f64;
            let written = (written_octets() - before) as f64 / mail;
            // Nothing of it was given back: that takes checkpoints and time.
            let journal = size(&folder.path().join("journal")) as f64 / mail;
            latencies.sort_unstable();
            println!(
                "| {octets} | {way:?} | {compress:?} | {count} | {written:.2} | {journal:.2} | {:.0} | {:.2} / {:.2} |",
                cpu * 1e6 / count as f64,
                latencies[count / 2].as_secs_f64() * 1e3,
                latencies[count * 99 / 100].as_secs_f64() * 1e3,
            );
        }
    }
}
