"""What is linked into files of other makers without a licence text beside it: C libraries in Python packages, and the
Go modules of nats-server, which its binary names itself.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXTS = Path(__file__).parent / "texts"
MODULE = re.compile(rb"\ndep\t([^\t\n]+)\t([^\t\n]+)")


@dataclass(frozen=True)
class Linked:
    """A part of a part."""

    name: str
    licence: str
    """An SPDX identifier."""
    notice: str

    def text(self) -> str:
        """Its notice and its licence."""
        path = ROOT / "LICENSE-APACHE" if self.licence == "Apache-2.0" else TEXTS / f"{self.licence}.txt"
        return f"{self.name}\n\n{self.notice}\n\n{path.read_text()}"


GO = Linked("Go", "BSD-3-Clause", "Copyright 2009 The Go Authors. All rights reserved.")
INSIDE = {
    "google-re2": [Linked("abseil-cpp", "Apache-2.0", "Copyright The Abseil Authors.")],
    "Python": [
        Linked("libmpdec", "BSD-2-Clause", "Copyright (c) 2008-2020 Stefan Krah. All rights reserved."),
        Linked(
            "expat", "MIT",
            "Copyright (c) 1998-2000 Thai Open Source Software Center Ltd and Clark Cooper\n"
            "Copyright (c) 2001-2025 Expat maintainers",
        ),
    ],
    "uvloop": [
        Linked(
            "libuv", "MIT",
            "Copyright (c) 2015-present libuv project contributors.\n"
            "Copyright Joyent, Inc. and other Node contributors. All rights reserved.",
        ),
    ],
}  # fmt: skip
"""By the part that holds them."""
GO_MODULES = {
    "github.com/antithesishq/antithesis-sdk-go": ("MIT", "Copyright (c) 2024 antithesishq"),
    "github.com/klauspost/compress": (
        "BSD-3-Clause",
        "Copyright (c) 2012 The Go Authors. All rights reserved.\nCopyright (c) 2019 Klaus Post. All rights reserved.",
    ),
    "github.com/minio/highwayhash": ("Apache-2.0", "Copyright MinIO, Inc."),
    "github.com/nats-io/jwt/v2": ("Apache-2.0", "Copyright The NATS Authors"),
    "github.com/nats-io/nkeys": ("Apache-2.0", "Copyright The NATS Authors"),
    "github.com/nats-io/nuid": ("Apache-2.0", "Copyright The NATS Authors"),
    "golang.org/x/crypto": ("BSD-3-Clause", GO.notice),
    "golang.org/x/sys": ("BSD-3-Clause", GO.notice),
    "golang.org/x/time": ("BSD-3-Clause", GO.notice),
}


class UnknownModule(Exception):
    """The binary holds a Go module whose licence nobody has looked at; the message names it."""


def go_modules(binary: bytes) -> list[Linked]:
    """Go itself, and the modules that a binary says it is made of. Raises UnknownModule."""
    found = [GO]
    for module, version in sorted({(name.decode(), number.decode()) for name, number in MODULE.findall(binary)}):
        if module not in GO_MODULES:
            raise UnknownModule(f"nats-server holds {module} {version}: add its licence to packaging/linked.py")
        licence, notice = GO_MODULES[module]
        found.append(Linked(f"{module} {version}", licence, notice))
    return found
