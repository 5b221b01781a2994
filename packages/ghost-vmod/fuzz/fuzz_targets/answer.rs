//! `cargo +nightly fuzz run answer` in packages/ghost-vmod; tests/properties.rs of the upstream crate runs the same entry
//! on stable Rust.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ghost_upstream::fuzzing::entry(input));
