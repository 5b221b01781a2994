//! The .so must never be unloaded: threads and the destructors of their locals live in it.

fn main() {
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
}
