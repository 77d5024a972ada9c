//! How libpay88.so.0 is linked.

fn main() {
    for argument in [
        // The name under which a process finds the copy that it has already.
        "-Wl,-soname,libpay88.so.0",
        // Calls inside the library stay inside it, whatever else the process has loaded.
        "-Wl,-Bsymbolic",
        // Its threads outlive any dlclose.
        "-Wl,-z,nodelete",
        "-Wl,-z,relro,-z,now",
    ] {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
