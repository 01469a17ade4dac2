"""What the server is told of messages that were taken in: acknowledged, held for a while, or never to come again."""

from collections import Counter
from collections.abc import Sequence

from nats.aio.msg import Msg

from engine.crash import crash_point
from engine.triggers.message import Fate, Receipt
from mesh.connection import LOST, Link
from mesh.intake.consumer import MAX_ACK_PENDING
from mesh.jetstream import StreamInfo

ACK_SECONDS = 5.0
"""How long the server may take to confirm; then it delivers again, and the inbox knows the message."""
_ACK, _TERM = b"+ACK", b"+TERM"


class Answers:
    """The answers of one lane. Those that may not have been heard are given once more on the next link: the server
    would give the messages to another agent, which does not know them."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._unheard: list[tuple[str, bytes]] = []
        self._created = ""
        """Which stream they are about."""

    async def give(self, link: Link, fetched: Sequence[Msg], receipts: Sequence[Receipt]) -> None:
        """Answer for a batch, the last one with an answer to that.

        All travel on one connection and the server handles a consumer's in their order, so the answer to the last says
        that it has handled them all (see test_one_confirmed_acknowledgement_confirms_its_batch).
        """
        words = [_word(receipt) for receipt in receipts]
        try:
            await link.nc.publish_batch(
                (msg.reply, "", {}, word) for msg, word in zip(fetched[:-1], words, strict=False)
            )
            await link.nc.request(fetched[-1].reply, words[-1], timeout=ACK_SECONDS)
        except BaseException as error:
            self._counters["unconfirmed"] += len(fetched)
            answers = zip([msg.reply for msg in fetched], words, strict=True)
            self._unheard += [(reply, word) for reply, word in answers if word in (_ACK, _TERM)]
            del self._unheard[:-MAX_ACK_PENDING]
            if not isinstance(error, LOST):
                raise
        else:
            held = sum(receipt.fate is Fate.HELD for receipt in receipts)
            self._counters["held"] += held
            self._counters["acknowledged"] += len(fetched) - held
        crash_point("intake-after-ack")

    async def make_up(self, link: Link, stream: StreamInfo) -> None:
        """On a new link: give again what may not have been heard, unless the stream is another one or went backwards,
        so that other messages have these numbers."""
        same = stream.created == self._created
        if same and self._unheard and stream.state.last_seq >= max(sequence_in(reply) for reply, _ in self._unheard):
            await link.nc.publish_batch((reply, "", {}, word) for reply, word in self._unheard)
        self._unheard.clear()
        self._created = stream.created


def sequence_in(reply: str) -> int:
    """The sequence in `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>…`, or with domain and account before."""
    tokens = reply.split(".")
    return int(tokens[5] if len(tokens) == 9 else tokens[7])


def _word(receipt: Receipt) -> bytes:
    """What the server is told of a message. One that is held stays in the stream and is delivered again later; until
    then others pass it."""
    if receipt.fate is Fate.HELD:
        return b'-NAK {"delay": %d}' % int(receipt.retry_seconds * 1e9)
    return _TERM if receipt.fate is Fate.DEAD else _ACK
