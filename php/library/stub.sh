#!/bin/sh
# Prints the stub for IDEs and PHPStan, made from pay88.stub.php: without what is for PHP's generator alone, and without what is
# private.
set -eu
cd "$(dirname "$0")"
cat <<'HEAD'
<?php

// What the extension pay88 has, for IDEs and PHPStan. Made by stub.sh of this package's sources; not to be edited.
// phpcs:ignoreFile

HEAD
sed -e '1,/^namespace Pay88 {/{/^namespace Pay88 {/!d}' -e '/@strict-properties$/d' -e '/@not-serializable$/d' \
    -e '/^ *private [?\\a-zA-Z0-9]* \$/d' ../pay88.stub.php
