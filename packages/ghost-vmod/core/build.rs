//! Generates the wire types from the JSON Schema that the Python packages export.

use std::{env, fs, path::Path};

const SCHEMA: &str = "../schema/ghost.schema.json";

fn main() {
    println!("cargo::rerun-if-changed={SCHEMA}");
    let text = fs::read_to_string(SCHEMA).expect("the schema is beside this crate");
    let schema = serde_json::from_str(&text).expect("the schema is a JSON Schema");
    let mut types = typify::TypeSpace::default();
    types.add_root_schema(schema).expect("typify understands the schema");
    let file = syn::parse2(types.to_stream()).expect("typify writes Rust");
    let folder = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&folder).join("wire.rs"), prettyplease::unparse(&file)).expect("OUT_DIR can be written");
}
