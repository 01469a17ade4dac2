"""Train triage-tiny, and write it as a file for llama.cpp.

    pip install torch numpy gguf            (in an environment of its own; training needs nothing of Ganglion)
    python train.py steps 9000              goes on from triage-tiny.pt if it is there; saves every 200 steps
    python train.py export OUT.gguf

9,000 steps take half an hour on two cores.
"""

import sys
from pathlib import Path

CHECKPOINT = Path("triage-tiny.pt")


def main(arguments: list[str]) -> None:
    match arguments:
        case ["steps", count] if count.isdigit():
            from triage_tiny.training import Training

            Training(CHECKPOINT).run(int(count))
        case ["export", path]:
            from triage_tiny.export import export

            export(CHECKPOINT, Path(path))
            print(f"{path}: {Path(path).stat().st_size} bytes")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
