//! How the addon is linked.

fn main() {
    // libpay88 keeps pointers to functions of this module, so it must not be unmapped when a worker ends.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
