#!/bin/bash
# What is installed can be used: with pkg-config and with CMake, shared and static, in C and C++, also after a move.
#
#     tests/c/install.sh PREFIX PAY88_COMMAND
set -eu -o pipefail
cd "$(dirname "$0")/../.."
sandbox=$2
moved=$(mktemp -d)
trap 'rm -rf "$moved"' EXIT
cp -a "$1" "$moved/usr"
examples=$PWD/bindings/c/examples
export PKG_CONFIG_PATH=$moved/usr/lib/pkgconfig
build=$moved/build
mkdir "$build"

charges() {
    timeout -k 5 60 "$sandbox" sandbox --exec -- "$1" | grep -q '"reference"' || {
        echo "no charge was made by $1" >&2
        exit 1
    }
}
# needs FILE yes|no: whether it loads the shared library.
loads() {
    if readelf -d "$1" | grep -q 'NEEDED.*libpay88.so.0'; then [ "$2" = yes ]; else [ "$2" = no ]; fi || {
        echo "$1 should load libpay88.so.0: $2" >&2
        exit 1
    }
}

warnings="-Wall -Wextra -Wpedantic -Werror"
# shellcheck disable=SC2046,SC2086
{
    gcc -std=c99 $warnings "$examples/charge.c" $(pkg-config --cflags --libs pay88) -o "$build/charge-c"
    gcc -std=c99 $warnings "$examples/charge.c" $(pkg-config --cflags --libs pay88-static) -o "$build/charge-c-static"
    g++ -std=c++17 $warnings "$examples/charge.cpp" $(pkg-config --cflags --libs pay88) -pthread -o "$build/charge-cpp"
    g++ -std=c++17 $warnings "$examples/charge.cpp" $(pkg-config --cflags --libs pay88-static) -o "$build/charge-cpp-static"
}
for program in charge-c charge-cpp; do
    loads "$build/$program" yes
    loads "$build/$program-static" no
    LD_LIBRARY_PATH=$moved/usr/lib charges "$build/$program"
    charges "$build/$program-static"
done

# An error is told, and is the status of the program.
status=0
env -u EIGHTY_EIGHT_PAY_API_KEY LD_LIBRARY_PATH="$moved/usr/lib" "$build/charge-c" 2>"$build/told" || status=$?
[ "$status" = 1 ] && grep -q EIGHTY_EIGHT_PAY_API_KEY "$build/told"

cat >"$build/CMakeLists.txt" <<CMAKE
cmake_minimum_required(VERSION 3.16)
project(charge C CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(pay88 0.1 REQUIRED)
find_package(Threads REQUIRED)
add_executable(cmake-c "$examples/charge.c")
target_link_libraries(cmake-c PRIVATE pay88::pay88)
add_executable(cmake-c-static "$examples/charge.c")
target_link_libraries(cmake-c-static PRIVATE pay88::static)
add_executable(cmake-cpp "$examples/charge.cpp")
target_link_libraries(cmake-cpp PRIVATE pay88::pay88 Threads::Threads)
add_executable(cmake-cpp-static "$examples/charge.cpp")
target_link_libraries(cmake-cpp-static PRIVATE pay88::static)
CMAKE
cmake -S "$build" -B "$build/cmake" -DCMAKE_PREFIX_PATH="$moved/usr" >"$build/log" 2>&1 || { cat "$build/log"; exit 1; }
cmake --build "$build/cmake" >"$build/log" 2>&1 || { cat "$build/log"; exit 1; }
for program in cmake-c cmake-cpp; do
    loads "$build/cmake/$program" yes
    loads "$build/cmake/$program-static" no
    charges "$build/cmake/$program"
    charges "$build/cmake/$program-static"
done
# A newer major version than the one installed is not found.
sed -i 's/pay88 0.1/pay88 1.0/' "$build/CMakeLists.txt"
if cmake -S "$build" -B "$build/newer" -DCMAKE_PREFIX_PATH="$moved/usr" >"$build/log" 2>&1; then
    echo "pay88 1.0 was found, but it is not installed" >&2
    exit 1
fi
grep -q 'pay88' "$build/log"
echo "install   passed"
