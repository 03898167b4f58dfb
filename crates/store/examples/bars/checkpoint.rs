//! What a checkpoint of many messages takes, packed and as the rows are, and what is made from it.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use heronry_store::{
    Config, DiskStore,
    port::{Accepted, Pending, Spool},
};
use mail::{Address, Recipient, Target};
use zstd::bulk::{Compressor, Decompressor};

use crate::{
    files::{forget_all, size},
    house::{House, WORDS, clock, text},
    process::{again, cpu, resident, written_octets},
};

/// Checkpoints of so many messages, every other one in a mailbox and the others in the queue, in the
/// format of folders before they were packed and in that of today: of messages that are much alike, and of
/// those of anybody.
pub(crate) fn checkpoint(folder: &Path, number: usize) {
    for fill in ["checkpoint-alike", "checkpoint-anybody"] {
        let folder = tempfile::tempdir_in(folder).unwrap();
        again(fill, folder.path(), number);
        println!("{fill}");
        println!(
            "| format of the folder | octets | written in s | CPU s | MiB resident | directory made anew in s \
             | CPU s | MiB resident |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        for format in [2, 3, 2, 3] {
            again("checkpoint-write", folder.path(), format);
            again("checkpoint-load", folder.path(), format);
        }
        again("checkpoint-write", folder.path(), 2);
        println!();
        levels(&only_checkpoint(folder.path()));
    }
}

/// Messages from one sender, and no checkpoint of them.
pub(crate) fn fill_alike(folder: &Path, number: usize) {
    let house = without_checkpoints(folder);
    house.accept_home(400, number / 2);
    house.accept_for_elsewhere(400, number / 2);
    house.store.close().unwrap();
}

/// Messages from anybody, and no checkpoint of them.
pub(crate) fn fill_from_anybody(folder: &Path, number: usize) {
    let house = without_checkpoints(folder);
    for from in (0..number).step_by(500) {
        house.runtime.block_on(async {
            let some: Vec<_> = (from..number.min(from + 500))
                .map(|number| accept(&house, number))
                .collect();
            for accepted in some {
                accepted.await.unwrap();
            }
        });
    }
    house.store.close().unwrap();
}

fn without_checkpoints(folder: &Path) -> House {
    House::open(Config {
        checkpoint_octets: u64::MAX,
        ..Config::new(folder)
    })
}

/// A message from anybody, to ann or to anybody elsewhere.
fn accept(house: &House, number: usize) -> Pending<Accepted> {
    let chance = blake3::hash(&number.to_le_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *chance.as_bytes();
    let word = |octet: u8| WORDS[usize::from(octet) % WORDS.len()];
    let name = |one: u8, other: u8, number: u8| format!("{}.{}{number}", word(one), word(other));
    let from = format!("{}@{}-{}.test", name(a, b, c), word(d), word(e));
    let to = if number.is_multiple_of(2) {
        house.here()
    } else {
        let to: Address = format!("{}@{}{}.test", name(f, g, h), word(h), g % 40)
            .parse()
            .unwrap();
        let target = Target::Remote(to.domain().clone());
        Recipient::new(to, target)
    };
    let octets = 200 + usize::from(u16::from_le_bytes([a, h])) % 400;
    let mut mail = house.mail(text(number, octets), to);
    mail.envelope.from = Some(from.parse().unwrap());
    mail.origin = format!("{a}.{c}.{e}.{g} {}.{}{b}.test ESMTPS", word(d), word(f));
    house
        .store
        .accept_home(house.fence(), &[house.fence()], mail)
}

/// Writes the only checkpoint, in a folder of that format.
pub(crate) fn write(folder: &Path, format: usize) {
    fs::write(folder.join("format"), format!("heronry store {format}\n")).unwrap();
    for file in fs::read_dir(folder.join("checkpoint")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    // All that is there is news to the first round.
    let config = Config {
        checkpoint_octets: 1,
        ..Config::new(folder)
    };
    let house = House::open(config);
    house.fill(1, 400);
    let unfinished = folder.join("checkpoint/new");
    until(|| unfinished.exists());
    let (begun, cpu) = (Instant::now(), cpu());
    until(|| !unfinished.exists());
    print!(
        "| {format} | {} | {:.2} | {:.2} | {} ",
        size(&folder.join("checkpoint")),
        begun.elapsed().as_secs_f64(),
        self::cpu() - cpu,
        resident() >> 20,
    );
    house.store.close().unwrap();
}

/// Makes the directory anew from the checkpoint.
pub(crate) fn load(folder: &Path) {
    forget_all(&folder.join("checkpoint"));
    let (begun, cpu, wrote) = (Instant::now(), cpu(), written_octets());
    let store = DiskStore::rebuild(Config::new(folder), clock()).unwrap();
    println!(
        "| {:.2} | {:.2} | {} |",
        begun.elapsed().as_secs_f64(),
        self::cpu() - cpu,
        resident() >> 20,
    );
    assert!(store.opened().replayed_frames < 100);
    assert!(written_octets() > wrote);
    store.close().unwrap();
}

fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        thread::sleep(Duration::from_millis(1));
    }
}

fn only_checkpoint(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder.join("checkpoint")).unwrap();
    files.next().unwrap().unwrap().path()
}

/// What each level of compression leaves of the blocks of a checkpoint whose rows are as they are.
fn levels(file: &Path) {
    struct Level {
        number: i32,
        pack: Compressor<'static>,
        left: usize,
        packed_in: Duration,
        unpacked_in: Duration,
    }
    let level = |number| Level {
        number,
        pack: Compressor::new(number).unwrap(),
        left: 0,
        packed_in: Duration::ZERO,
        unpacked_in: Duration::ZERO,
    };
    let mut levels = [-7, -5, -3, -1, 1, 2, 3, 4, 6].map(level);
    let mut unpack = Decompressor::new().unwrap();
    let mut file = File::open(file).unwrap();
    file.read_exact(&mut [0; 32]).unwrap();
    let (mut octets, mut packed, mut unpacked) = (0, Vec::new(), Vec::new());
    loop {
        let mut head = [0; 8];
        file.read_exact(&mut head).unwrap();
        let [a, b, c, d, ..] = head;
        let mut rows = vec![0; u32::from_le_bytes([a, b, c, d]) as usize];
        if rows.is_empty() {
            break;
        }
        file.read_exact(&mut rows).unwrap();
        octets += rows.len();
        packed.reserve(2 * rows.len());
        unpacked.reserve(rows.len());
        for level in &mut levels {
            packed.clear();
            let begun = Instant::now();
            level.left += level.pack.compress_to_buffer(&rows, &mut packed).unwrap();
            level.packed_in += begun.elapsed();
            unpacked.clear();
            let begun = Instant::now();
            unpack.decompress_to_buffer(&packed, &mut unpacked).unwrap();
            level.unpacked_in += begun.elapsed();
            assert_eq!(rows, unpacked);
        }
    }
    println!("| level | share left | pack ms/MiB | unpack ms/MiB |");
    println!("|---|---|---|---|");
    let mebi = octets as f64 / f64::from(1 << 20);
    for level in levels {
        println!(
            "| {} | {:.3} | {:.2} | {:.2} |",
            level.number,
            level.left as f64 / octets as f64,
            level.packed_in.as_secs_f64() * 1e3 / mebi,
            level.unpacked_in.as_secs_f64() * 1e3 / mebi,
        );
    }
}
