"""The first lines of the packaged program."""

import os
import sys

# PyInstaller's start-up code names our folder of libraries there. The loader has read it; programs that we start would
# take our libraries for theirs.
_before = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
if _before is None:
    os.environ.pop("LD_LIBRARY_PATH", None)
else:
    os.environ["LD_LIBRARY_PATH"] = _before

if sys.argv[1:2] == ["--client"]:  # agent/demo/clients.py
    from agent.demo.clients import run_client

    run_client(sys.argv[2], sys.argv[3:])
else:
    from agent.cli import main

    main()
