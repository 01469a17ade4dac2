#!/bin/sh
# CPython and OpenSSL from their makers' releases, for an executable that runs on systems older than the machine's own
# Python and OpenSSL do.
#
#   packaging/python.sh /opt/python [WORK]      then: make package PYTHON=/opt/python/bin/python3
#
# Needs a C compiler, make, perl, curl, xz and the headers of zlib, bzip2, lzma, libffi and sqlite3. What is missing is
# made; a step that is done is not done again. The first time takes about 20 minutes of one core, most of it for Python,
# which is compiled twice: a training in between shows what it is used for (PGO). packaging/README.md tells what that gives.
#
# PREFIX is written into both: name one where nobody but root can write, on the systems where it will run, too.
set -eu

PREFIX=${1:?usage: packaging/python.sh PREFIX [WORK]}
WORK=${2:-/var/tmp/ganglion-python}
JOBS=$(nproc)

# A release, its SHA-256 (of the archive that its makers sign), and where it is, in the order in which it is looked for.
# Debian's pool holds the makers' archives under names of its own.
PYTHON=Python-3.13.15
PYTHON_SHA256=1e66a7945a48390ee4c2a4268a0e4185884059a13c4aab6d148aa208deea4a76
PYTHON_FROM="http://deb.debian.org/debian/pool/main/p/python3.13/python3.13_3.13.15.orig.tar.xz
https://www.python.org/ftp/python/3.13.15/Python-3.13.15.tar.xz"

OPENSSL=openssl-3.5.7 # of a series with long support, to April 2030
OPENSSL_SHA256=a8c0d28a529ca480f9f36cf5792e2cd21984552a3c8e4aa11a24aa31aeac98e8
OPENSSL_FROM="http://deb.debian.org/debian/pool/main/o/openssl/openssl_3.5.7.orig.tar.gz
https://github.com/openssl/openssl/releases/download/openssl-3.5.7/openssl-3.5.7.tar.gz"

# What Python is trained with: those of its own tests that do what an agent does.
TRAINING="test_bytes test_collections test_dataclasses test_datetime test_float test_functools test_generators test_heapq
test_int test_itertools test_json test_operator test_ordered_dict test_patma test_re test_set test_sqlite3 test_str
test_struct test_time"

# fetch NAME SHA256 ADDRESSES: unpacks the release into $WORK/NAME.
fetch() {
    [ -e "$WORK/$1/.unpacked" ] && return
    for address in $3; do
        curl --fail --silent --show-error --location --retry 3 --output "$WORK/$1.archive" "$address" || continue
        if echo "$2  $WORK/$1.archive" | sha256sum --check --status; then
            rm -rf "${WORK:?}/$1"
            mkdir "$WORK/$1"
            tar -xf "$WORK/$1.archive" -C "$WORK/$1" --strip-components 1 --no-same-owner
            touch "$WORK/$1/.unpacked"
            return
        fi
        echo "python.sh: $address is not what was released as $1 (SHA-256 $2)" >&2
    done
    echo "python.sh: $1 is nowhere to be had: name another address, or a newer release and its SHA-256, in $0" >&2
    exit 1
}

mkdir -p "$WORK" "$PREFIX"

if [ "$(cat "$PREFIX/.openssl" 2>/dev/null)" != "$OPENSSL" ]; then
    fetch $OPENSSL $OPENSSL_SHA256 "$OPENSSL_FROM"
    (
        # The system's certificates are a folder of hashed names in /etc/ssl (Debian, Ubuntu, SUSE, Alpine), or one file
        # (RHEL and its like): both are looked for. No modules, no engines: nothing from elsewhere is loaded.
        cd "$WORK/$OPENSSL"
        sed -i 's|OPENSSLDIR "/cert.pem"|"/etc/pki/tls/cert.pem"|' include/internal/common.h
        ./config --prefix="$PREFIX" --libdir=lib --openssldir=/etc/ssl shared no-module no-engine no-apps no-docs no-tests
        make -j "$JOBS" build_generated
        make -j "$JOBS" libcrypto.so libssl.so # the static ones would compile everything a second time
        mkdir -p "$PREFIX/lib" "$PREFIX/include" "$PREFIX/licences/OpenSSL"
        cp -a libcrypto.so* libssl.so* "$PREFIX/lib"
        cp -R include/openssl "$PREFIX/include"
        cp LICENSE.txt "$PREFIX/licences/OpenSSL"
        echo "${OPENSSL#openssl-}" >"$PREFIX/licences/OpenSSL/version"
    )
    echo $OPENSSL >"$PREFIX/.openssl"
fi

if [ "$(cat "$PREFIX/.python" 2>/dev/null)" != "$PYTHON with $OPENSSL" ]; then
    fetch $PYTHON $PYTHON_SHA256 "$PYTHON_FROM"
    (
        cd "$WORK/$PYTHON"
        [ -e Makefile ] || ./configure --prefix="$PREFIX" --enable-shared --enable-optimizations \
            --with-openssl="$PREFIX" --with-ensurepip=install --disable-test-modules \
            LDFLAGS="-Wl,-rpath,$PREFIX/lib" py_cv_module_readline=n/a py_cv_module__gdbm=n/a \
            py_cv_module__curses=n/a py_cv_module__tkinter=n/a
        make -j "$JOBS" PROFILE_TASK="-m test --pgo $(echo $TRAINING)" CFLAGS_NODIST=-g0
        make install
        "$PREFIX/bin/python3" -c 'import bz2, ctypes, lzma, sqlite3, ssl, zlib; print(ssl.OPENSSL_VERSION)'
    )
    echo "$PYTHON with $OPENSSL" >"$PREFIX/.python"
fi
