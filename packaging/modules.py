"""Modules out of the archive that PyInstaller packs, found by one look into its table of contents.

PyInstaller's own way asks each folder of sys.path for each module, and opens the archive anew for each: a tenth of the
time that an agent takes to import what it needs. What is not in the archive, such as compiled modules, is found as
ever.
"""

import marshal
import os
import sys
import zlib
from importlib.machinery import ModuleSpec, PathFinder
from types import CodeType

import pyimod01_archive  # type: ignore[import-not-found]
import pyimod02_importers  # type: ignore[import-not-found]


class Archive:
    """The archive, as sys.meta_path and PyInstaller's loader of modules know it."""

    def __init__(self) -> None:
        opened = pyimod02_importers.pyz_archive
        self._contents: dict[str, tuple[int, int, int]] = opened.toc
        self._start: int = opened._start_offset
        self._file = os.open(opened._filename, os.O_RDONLY)

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Where a module is, if it is here."""
        kind, _, _ = self._contents.get(name, (pyimod01_archive.PYZ_ITEM_NSPKG, 0, 0))
        if kind == pyimod01_archive.PYZ_ITEM_NSPKG:  # a package without code of its own: nothing to load
            return None
        is_package = kind == pyimod01_archive.PYZ_ITEM_PKG
        loader = pyimod02_importers.PyiFrozenLoader(name, self, name, is_package)
        spec = ModuleSpec(name, loader, origin=loader.path, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [os.path.dirname(loader.path)]  # noqa: PTH120 - pathlib is not loaded
        return spec

    def extract(self, name: str) -> CodeType:
        """The code of a module; the loader asks for it.

        Raises SystemExit, as PyInstaller's does, where the archive was deleted: so were compiled modules and models'
        libraries, without which executions would fail that go on at the next start.
        """
        if os.fstat(self._file).st_nlink == 0:
            raise SystemExit(f"{sys.executable} is there no more: {name} can't be loaded")
        _, offset, length = self._contents[name]
        code: CodeType = marshal.loads(zlib.decompress(os.pread(self._file, length, self._start + offset)))
        return code


def find_in_archive() -> None:
    """From now on."""
    sys.meta_path.insert(sys.meta_path.index(PathFinder), Archive())
