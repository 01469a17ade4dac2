"""The first lines of the packaged program."""

import os
import sys

from modules import find_in_archive

find_in_archive()

# The launcher and PyInstaller's start-up code name our folder of libraries there. The loader has read it; programs that
# we start would take our libraries for theirs.
os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
_ours = os.path.realpath(sys._MEIPASS)
_others = [
    path for path in os.environ.pop("LD_LIBRARY_PATH", "").split(":") if path and os.path.realpath(path) != _ours
]
if _others:
    os.environ["LD_LIBRARY_PATH"] = ":".join(_others)

if sys.argv[1:2] == ["--client"]:  # agent/demo/clients.py
    from agent.demo.clients import run_client

    run_client(sys.argv[2], sys.argv[3:])
else:
    from agent.cli import main

    main()
