"""Makes an executable anew with the launcher linked with this machine's glibc, zstd and libgcc, whichever they are.

python packaging/relink.py dist/ganglion-… NEW_FILE

The GNU Lesser General Public License asks for that of a program that holds glibc (2.1, section 6). Needed: this folder
of Ganglion's source, a C compiler, zstd's static library and the Python package zstandard. All else comes out of the
executable, and is put into the new one as it is.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from launcher import pack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executable", type=Path)
    parser.add_argument("made", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        cache = Path(work) / "cache"
        environment = os.environ | {"GANGLION_CACHE_DIR": str(cache)}
        subprocess.run([options.executable.absolute(), "--version"], check=True, env=environment)
        [folder] = (path for path in cache.iterdir() if path.is_dir())
        pack(folder, Path(work) / "packed", options.made)


if __name__ == "__main__":
    main()
