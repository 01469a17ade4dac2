"""What becomes of a chain of models of which none could answer."""

from collections.abc import Sequence

from plugins.llm.errors import ModelError, Trouble

__all__ = ["none_could"]


def none_could(passed: Sequence[tuple[str, ModelError]]) -> ModelError:
    """The last error; of a chain the last that may pass, if one may, with a message that names all."""
    if not passed:
        return ModelError(
            Trouble.UNKNOWN, "no model is named: name one, or several of which the first that can answers"
        )
    _, last = passed[-1]
    if len(passed) == 1:
        return last
    if last.elsewhere:
        last = next((error for _, error in reversed(passed) if error.passing), last)
    told = "; ".join(f"{name} ({error.trouble}): {error}" for name, error in passed)
    whole = ModelError(last.trouble, f"none of {len(passed)} models could: {told}", after=last.after)
    known = [error.used for _, error in passed if error.used is not None]
    whole.used = sum(known) if len(known) == len(passed) else None
    return whole
