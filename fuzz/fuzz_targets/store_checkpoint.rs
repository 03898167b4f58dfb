//! A checkpoint: any octets are read to their end, without a panic or a contradiction.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let _ = store::probe_checkpoint(octets);
    // A fuzzer cannot guess checksums: what is behind them is read when they are set right.
    let mut mended = octets.to_vec();
    store::mend_checkpoint(&mut mended);
    let _ = store::probe_checkpoint(&mended);
});
