//! A segment of the journal: any octets are read to their end, without a panic or a contradiction.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    // The head has a block of its own, and is found by its checksum or not at all.
    let mut segment = vec![0; 4096];
    segment.extend_from_slice(octets);
    let _ = store::probe(&segment);
    let _ = store::probe(octets);
    // A fuzzer cannot guess checksums: what is behind them is read when they are set right.
    store::mend(&mut segment);
    let _ = store::probe(&segment);
    let mut mended = octets.to_vec();
    store::mend(&mut mended);
    let _ = store::probe(&mended);
});
