"""Keys, signatures and checksums of what is released.

python packaging/sign.py key SECRET            make a key pair: SECRET (0600) and SECRET.pub
python packaging/sign.py sign FILE --key SECRET --version 0.2.0 [--arch linux-x86_64]    write FILE.sig
python packaging/sign.py verify FILE --pub SECRET.pub
python packaging/sign.py sums FILE...          write SHA256SUMS beside the first file, for `sha256sum --check`
"""

import argparse
import base64
import os
import sys
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agent.update.keys import read_key, written_key
from agent.update.program import architecture
from agent.update.signature import SUFFIX, Untrusted, check, checksum, key_id, new_key, read_signature, sign

SUMS = "SHA256SUMS"


def make_key(secret: Path) -> str:
    """Write a key pair; neither file may be there. The key's id."""
    seed, public = new_key()
    for path, text, mode in (
        (secret, base64.b64encode(seed).decode(), 0o600),
        (secret.with_name(secret.name + ".pub"), written_key(public, secret.name), 0o644),
    ):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text + "\n")
    return key_id(public)


def write_signature(file: Path, secret: Path, version: str, arch: str) -> Path:
    """Sign a file with the key in another one; where the signature is."""
    said = sign(file, seed=base64.b64decode(secret.read_text()), version=version, arch=arch)
    path = file.with_name(file.name + SUFFIX)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(said)) + b"\n")
    return path


def verify(file: Path, public: Path) -> str:
    """What a signature says of a file, if the key in another file has made it. Raises Untrusted."""
    lines = [line for line in public.read_text().splitlines() if line.strip() and not line.startswith("#")]
    said = read_signature(file)
    check(file, said, {key_id(key): key for key in map(read_key, lines)})
    return f"{said.name} is {said.version} for {said.arch}, signed by {said.key}"


def write_sums(files: list[Path]) -> Path:
    """The checksums of files in one folder."""
    path = files[0].with_name(SUMS)
    path.write_text("".join(f"{checksum(file)}  {file.name}\n" for file in sorted(files) if file.name != SUMS))
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description="Keys, signatures and checksums of what is released.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("key", help="make a key pair").add_argument("secret", type=Path)
    signing = verbs.add_parser("sign", help="write FILE.sig")
    signing.add_argument("file", type=Path)
    signing.add_argument("--key", type=Path, required=True)
    signing.add_argument("--version", required=True)
    signing.add_argument("--arch", default=architecture())
    verifying = verbs.add_parser("verify", help="check FILE.sig")
    verifying.add_argument("file", type=Path)
    verifying.add_argument("--pub", type=Path, required=True)
    verbs.add_parser("sums", help=f"write {SUMS}").add_argument("files", type=Path, nargs="+")
    said = parser.parse_args()
    try:
        match said.verb:
            case "key":
                done = f"{said.secret}.pub has the key {make_key(said.secret)}; keep {said.secret} secret"
            case "sign":
                done = str(write_signature(said.file, said.key, said.version, said.arch))
            case "verify":
                done = verify(said.file, said.pub)
            case _:
                done = str(write_sums(said.files))
    except (OSError, ValueError, Untrusted) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
