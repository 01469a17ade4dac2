#!/bin/sh
# SQLite's amalgamation (sqlite3.c): sqlite.py compiles the library of it where pysqlite3 has no wheel (arm64).
#
#   packaging/sqlite.sh FOLDER      then: make package SQLITE_SOURCE=FOLDER
#
# Needs a C compiler, make, curl and xz. What is there already is not made again.
set -eu

FOLDER=${1:?usage: packaging/sqlite.sh FOLDER}
VERSION=3.53.4 # the one of pysqlite3
SHA256=05366adc8ee80c6b1faa71285b49d133c2121238ca58934b077fdeb95934abd4
FROM=http://deb.debian.org/debian/pool/main/s/sqlite3/sqlite3_$VERSION.orig.tar.xz # the makers' tree, whole

[ "$(cat "$FOLDER/.version" 2>/dev/null)" != $VERSION ] || exit 0
mkdir -p "$FOLDER"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
curl --fail --silent --show-error --location --retry 3 --output "$work/archive" "$FROM"
echo "$SHA256  $work/archive" | sha256sum --check --status || {
    echo "sqlite.sh: $FROM is not what was released as $VERSION (SHA-256 $SHA256)" >&2
    exit 1
}
mkdir "$work/sqlite"
tar -xf "$work/archive" -C "$work/sqlite" --strip-components 1 --no-same-owner
(cd "$work/sqlite" && ./configure --disable-tcl && make sqlite3.c) >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; exit 1; }
cp "$work/sqlite/sqlite3.c" "$work/sqlite/sqlite3.h" "$FOLDER"
echo $VERSION >"$FOLDER/.version"
