"""Which agents `--fleet` means; and for who means nobody, what there is to choose from."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.cli.failure import Exit, Failure
from agent.cli.whereabouts import labels_of, shortened

if TYPE_CHECKING:
    from mesh.line import Line
    from mesh.presence.members import Member


async def selected(line: "Line", tenant: str, labels: str) -> "list[Member]":
    """The agents that are meant, lost ones too. Raises Failure when there are none."""
    from mesh.nats_client import LOST
    from mesh.presence.members import members
    from mesh.presence.selector import InvalidSelector, Selector

    try:
        selector = Selector.parse(labels)
        known = await members(line.nc, tenant)
    except InvalidSelector as error:
        raise Failure(f"--fleet {labels}: {error}") from None
    except LOST as error:
        raise Failure(
            f"who is there can't be told: JetStream at {line.url} does not answer ({error or type(error).__name__}); "
            "with a hub, see whether it is reached: ganglion status",
            Exit.UNREACHABLE,
        ) from None
    chosen = [member for member in known if selector.matches(member.beat)]
    if not chosen:
        raise Failure(f"--fleet {labels} selects no agent; {labels_in_use(known)}")
    return chosen


def labels_in_use(known: "Sequence[Member]") -> str:
    """What could be selected."""
    if not known:
        return "nobody has said yet that it is there"
    counts = Counter(label for member in known for label in labels_of(member))
    bare = [member.beat.agent for member in known if not member.beat.labels]
    used = f"labels in use: {shortened([f'{label} ({count})' for label, count in sorted(counts.items())])}"
    without = f"without labels: {shortened(bare)}"
    return "; ".join([*([used] if counts else []), *([without] if bare else [])])
