//! The wire types, generated from ../schema/ghost.schema.json; `compile` turns them into closed types once.

#![allow(clippy::all, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/wire.rs"));
