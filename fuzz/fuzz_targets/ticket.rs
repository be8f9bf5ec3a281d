#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swift_fuzz::ticket(bytes));
