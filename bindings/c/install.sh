#!/bin/sh
# Installs libpay88 for C and C++: header, shared and static library, pkg-config and CMake files.
#
#     cargo build --release -p pay88-c
#     bindings/c/install.sh target/release /usr/local
#
# The first argument is the directory that cargo built into, the second the prefix. DESTDIR is put before the prefix;
# LIBDIR (default lib) is the directory of libraries below it. What is installed may be moved as a whole.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: $0 BUILD_DIRECTORY PREFIX" >&2
    exit 2
fi
built=$1
root=${DESTDIR:-}$2
libdir=${LIBDIR:-lib}
# The way back from there to the prefix.
up=$(echo "$libdir" | sed 's#[^/][^/]*#..#g')
here=$(cd "$(dirname "$0")" && pwd)

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../../Cargo.toml" | head -n 1)
soname=$(readelf -d "$built/libpay88_c.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
major=${soname##*.}
# What `rustc --print native-static-libs` names for a Rust staticlib on glibc.
static_libs="-lgcc_s -lutil -lrt -lpthread -lm -ldl"

fill() {
    sed -e "s|@VERSION@|$version|g" -e "s|@MAJOR@|$major|g" -e "s|@LIBDIR@|$libdir|g" \
        -e "s|@UP@|$up|g" -e "s|@STATIC_LIBS@|$3|g" \
        "$here/install/$1.in" >"$2/$1"
    chmod 644 "$2/$1"
}

mkdir -p "$root/include" "$root/$libdir/pkgconfig" "$root/$libdir/cmake/pay88"
install -m 644 "$here/../../include/pay88.h" "$root/include/pay88.h"
install -m 755 "$built/libpay88_c.so" "$root/$libdir/libpay88.so.$version"
ln -sf "libpay88.so.$version" "$root/$libdir/$soname"
ln -sf "$soname" "$root/$libdir/libpay88.so"
install -m 644 "$built/libpay88_c.a" "$root/$libdir/libpay88.a"
fill pay88.pc "$root/$libdir/pkgconfig" "$static_libs"
fill pay88-static.pc "$root/$libdir/pkgconfig" "$static_libs"
fill pay88-config.cmake "$root/$libdir/cmake/pay88" "$(echo "$static_libs" | tr ' ' ';')"
fill pay88-config-version.cmake "$root/$libdir/cmake/pay88" ""
