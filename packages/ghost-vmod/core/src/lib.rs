#![forbid(unsafe_code)]
pub mod wire { #![allow(clippy::all, clippy::pedantic, missing_docs)] include!(concat!(env!("OUT_DIR"), "/wire.rs")); }
