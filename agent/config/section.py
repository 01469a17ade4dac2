"""What all sections of the configuration have in common."""

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections; the docstring of each is its comment in the example."""
