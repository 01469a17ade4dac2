"""What bounds an expression, so that no source and no value can stop an agent.

One evaluation may spend MAX_STEPS: loops and filters pay one per item (a loop also for the size of its body), strings
one per 64 characters made. That keeps the worst evaluation near 50 ms and 16 MiB; see test_hostile.
"""

MAX_SOURCE = 256 * 1024
"""Characters of one source."""
MAX_TOKENS = 4_000
"""Tokens of one source, without the literal text around `{{ }}`."""
MAX_DEPTH = 64
"""Nesting of brackets and operators in a source, half of it for blocks, twice for chains of filters."""
MAX_STEPS = 250_000
"""Work of one evaluation."""
MAX_CHARS = 2 * 1024 * 1024
"""Characters of one string that an expression makes."""
MAX_ITEMS = 100_000
"""Items of one list that an expression makes."""
MAX_RESULT = 8 * 1024 * 1024
"""Estimated characters of JSON that a result holds, counting what it holds twice twice."""
