//! `cargo +nightly fuzz run document_and_request` in packages/ghost-vmod; tests/hostile.rs of the core runs the same
//! entry on stable Rust.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    _ = ghost_core::fuzzing::entry(input);
});
