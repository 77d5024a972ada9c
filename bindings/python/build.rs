//! How the extension is linked.

fn main() {
    // libpay88 keeps pointers to functions of this module, so it must never be unmapped.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
