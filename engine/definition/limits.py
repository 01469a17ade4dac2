"""How large a workflow file may be. What exceeds a limit is refused before it is built."""

from engine import values

MAX_BYTES = 1024 * 1024
"""Bytes of a file."""
MAX_DEPTH = values.MAX_DEPTH
"""Nesting of lists and objects."""
MAX_VALUES = 100_000
"""Values in a file, with what aliases stand for."""
MAX_LINE = 64 * 1024
"""Characters of one line of YAML: the scanner's worst case grows with the square of it."""
MAX_NODES = 20_000
"""Nodes of a workflow, with those inside nodes."""
MAX_NESTING = 8
"""Levels of nodes inside nodes."""
