"""One run of a graph within an execution: the workflow itself, or one opening of a body in it.

    root ── scan ── scan[0]  ── fetch
                 └─ scan[1]  ── fetch
         └─ safe ── safe/try ── risky

A frame's nodes have the frame's path before their own. Frames live as long as they run; what is left of one that ended
is its row.
"""

from collections.abc import Iterator

from engine.construct import Construct, Opening
from engine.execution.context import AttemptContext, Stop
from engine.execution.inputs import Inputs
from engine.execution.run import Run
from engine.limits.account import Account
from engine.planning.plan import PlannedBody, PlannedNode
from engine.values import Json


class Frame:
    """A graph under way, its scope, and the constructs in it that are open."""

    __slots__ = (
        "account", "active", "began", "body", "inputs", "opened", "opened_at", "opening", "over", "prefix", "run",
        "stop", "stopped", "told", "untold",
    )  # fmt: skip

    def __init__(
        self,
        run: Run,
        inputs: Inputs,
        stop: Stop,
        *,
        prefix: str = "",
        began: int = 0,
        opened_at: int = 0,
        active: "Active | None" = None,
        body: PlannedBody | None = None,
        opening: Opening | None = None,
    ) -> None:
        self.run = run
        self.inputs = inputs
        self.stop = stop
        """Asked of the attempts in it: come to an end."""
        self.prefix = prefix
        """What stands before the ids of its nodes: empty for the workflow itself, else such as `scan[17]/`."""
        self.began = began
        """What `now()` is for nodes that wait for nothing; recorded, so that it is the same after a crash."""
        self.opened_at = opened_at
        self.active = active
        """The construct that opened it."""
        self.body = body
        self.opening = opening
        self.opened: dict[int, Active] = {}
        """Constructs that are open in it, by the index of their node."""
        self.stopped = False
        """Nothing more starts in it."""
        self.told = False
        """The constructs in it know that it fails."""
        self.account: Account | None = None
        """Who pays for what its nodes use; None for the execution itself, and where nothing is limited."""
        self.untold = 0
        """How much of what happened in it has not been taken up."""
        self.over = False
        """It has ended, and the construct was told."""

    def path(self, node: PlannedNode) -> str:
        """Where a node of it stands in the execution."""
        return self.prefix + node.node.id

    def constructs(self) -> list["Active"]:
        """Every control-flow node that is open in it, at any depth, outermost first."""
        return [active for frame in self.all() for active in frame.opened.values()]

    def all(self) -> Iterator["Frame"]:
        """This frame and those inside, outermost first."""
        yield self
        for active in self.opened.values():
            for frame in active.frames:
                yield from frame.all()


class Active:
    """A control-flow node that is open, and the frames that it has open."""

    __slots__ = ("construct", "ctx", "error", "frames", "home", "latest", "node", "seen", "started", "stop", "stopping")

    def __init__(
        self, home: Frame, node: PlannedNode, construct: Construct, ctx: AttemptContext, started: int, stop: Stop
    ) -> None:
        self.home = home
        """The frame that it stands in."""
        self.node = node
        self.construct = construct
        self.ctx = ctx
        self.started = started
        self.stop = stop
        """Of the frames that it opens."""
        self.latest = started
        """When a body of it ended last."""
        self.frames: list[Frame] = []
        self.stopping = False
        self.error: tuple[str, str] | None = None
        """Kind and message, if it was stopped because it fails."""
        self.seen: dict[str, tuple[dict[str, Json], dict[str, Json]]] = {}
        """Outputs and errors of bodies that ended, for those that see them."""

    @property
    def path(self) -> str:
        return self.home.path(self.node)
