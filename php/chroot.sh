#!/bin/bash
# Builds and tests the extension with the PHP of a later Debian (8.4 of trixie), in a chroot that is made once:
#
#     php/chroot.sh [--debug]
#
# Needs root, debootstrap, and what php/build.sh has built, called with the same argument. The chroot is target/php/trixie. What is
# mounted into it is mounted for the processes of this script alone, and is gone with them.
set -eu -o pipefail
cd "$(dirname "$0")/.."
argument=${1-}
[ "$(id -u)" = 0 ] || { echo "php/chroot.sh needs root" >&2; exit 1; }
PATH=$PATH:/usr/sbin:/sbin
command -v debootstrap >/dev/null || { echo "php/chroot.sh needs debootstrap: Debian's package of that name" >&2; exit 1; }
mkdir -p "${CARGO_TARGET_DIR:-target}/php"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
place=$target/php/trixie

if [ ! -e "$place/made" ]; then
    rm -rf "$place"
    # What is a module of its own in Debian and the tests need (posix, tokenizer) comes with php-common, which php-cli needs.
    timeout 1800 debootstrap --variant=minbase \
        --include=php-cli,php-cgi,php-dev,gcc,libc6-dev,make,pkg-config,python3-minimal,libpython3-stdlib,curl,procps,ca-certificates \
        trixie "$place" >"$place.log" 2>&1 || { tail -n 20 "$place.log" >&2; exit 1; }
    touch "$place/made"
fi

# The library is the one that is there: there is no Rust in the chroot.
unshare --mount --propagation private bash -eu -o pipefail -s "$place" "$PWD" "$target" $argument <<'INSIDE'
place=$1 tree=$2 target=$3 argument=${4-}
mount -t proc proc "$place/proc"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$place/dev/shm"
mkdir -p "$place$tree" "$place$target"
mount --bind "$tree" "$place$tree"
mount --bind "$target" "$place$target"
chroot "$place" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CARGO=true CARGO_TARGET_DIR="$target" \
    PAY88_TEST_NOTHING_SKIPPED="${PAY88_TEST_NOTHING_SKIPPED-}" bash -eu -c "
        cd '$tree'
        php -v | head -n 1
        php/build.sh $argument
        php/test.sh $argument tables plain
    "
INSIDE
