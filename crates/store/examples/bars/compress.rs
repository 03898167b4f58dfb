//! What compression saves of messages at rest.

use std::{fs, path::Path, time::Instant};

/// Prints what each level of compression leaves of the messages in a folder, and what it costs.
pub(crate) fn compress(folder: &Path) {
    let mut files = Vec::new();
    gather(folder, &mut files);
    let octets: usize = files.iter().map(Vec::len).sum();
    println!("{} files, {} KiB", files.len(), octets >> 10);
    println!("| level | share left | stored plain | pack ms/MiB | unpack ms/MiB |");
    println!("|---|---|---|---|---|");
    for level in [1, 3, 6, 9, 19] {
        let (begun, mut left, mut plain) = (Instant::now(), 0, 0);
        let mut packed = Vec::new();
        for file in &files {
            for part in file.chunks(256 * 1024) {
                let data = zstd::bulk::compress(part, level).unwrap();
                if part.len() >= 256 && data.len() <= part.len() - part.len() / 10 {
                    left += data.len();
                    packed.push((data, part.len()));
                } else {
                    left += part.len();
                    plain += 1;
                }
            }
        }
        let pack = begun.elapsed();
        let begun = Instant::now();
        for (data, octets) in &packed {
            assert_eq!(
                zstd::bulk::decompress(data, *octets).unwrap().len(),
                *octets
            );
        }
        let mebi = octets as f64 / f64::from(1 << 20);
        println!(
            "| {level} | {:.2} | {plain} | {:.1} | {:.1} |",
            left as f64 / octets as f64,
            pack.as_secs_f64() * 1e3 / mebi,
            begun.elapsed().as_secs_f64() * 1e3 / mebi,
        );
    }
}

fn gather(folder: &Path, files: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, files);
        } else if let Ok(octets) = fs::read(&path)
            && octets.windows(2).any(|pair| pair == b": ")
            && octets.len() > 100
        {
            files.push(octets);
        }
    }
}
