"""Look at dead letters, and send them again."""

from engine.clock import format_time
from engine.control.messages import ByNumber, DeadLetterInfo, DeadLetterList, DeadLetters, Done
from engine.control.verb import Refused, Verb
from engine.engine import Engine
from engine.store import StoreFull, deadletters
from engine.store.deadletters import DeadLetter
from engine.store.outbox import Publication, publish
from engine.store.transaction import Transaction
from engine.triggers.chain import ORIGIN as CHAIN
from engine.triggers.fleet import ORIGIN as FLEET
from engine.triggers.found import ORIGIN as FILE
from engine.triggers.intake import QueueFull
from engine.triggers.message import Fate
from engine.triggers.routes import Undeliverable
from engine.values import InvalidValue

SHOWN_BYTES = 4096
"""Of a dead letter's body."""


def deadletter_verbs(engine: Engine) -> tuple[Verb, ...]:
    store = engine.store

    async def list_(request: DeadLetters) -> DeadLetterList:
        letters = await store.read(
            lambda db: deadletters.listing(db, before=request.before, limit=max(1, min(request.limit, 1000)))
        )
        return DeadLetterList(deadletters=[_info(letter) for letter in letters])

    async def one(request: ByNumber) -> DeadLetterInfo:
        return _info(await find(request.id), whole=True)

    async def replay(request: ByNumber) -> Done:
        letter = await find(request.id)
        try:
            if letter.origin == "intake":
                receipt = await engine.intake.replay(letter)
                if receipt.fate is Fate.DEAD:
                    raise Refused(422, f"it is dead again: {receipt.reason}")
                started = ", ".join(receipt.executions) or "nothing: no workflow wants it"
                return Done(message=f"dead letter {letter.id} is taken in again and starts {started}")
            if letter.origin in (CHAIN, FLEET):
                execution = await engine.intake.start_again(letter)
                return Done(message=f"dead letter {letter.id} is taken in again and starts {execution}")
            if letter.origin == FILE:
                await engine.files.release(letter)
                return Done(message=f"{letter.subject} is taken once more, if it still lies there")
            await send_again(letter)
        except (InvalidValue, Undeliverable) as error:
            raise Refused(409, str(error)) from None
        except (StoreFull, QueueFull) as error:
            raise Refused(503, str(error)) from None
        return Done(message=f"dead letter {letter.id} is in the outbox again")

    async def send_again(letter: DeadLetter) -> None:
        if letter.size != len(letter.body):
            raise InvalidValue(f"only {len(letter.body)} of its {letter.size} bytes were kept: it can't be replayed")
        now = store.clock.now()

        def unit(tx: Transaction) -> None:
            message = Publication(
                execution="", path="", subject=letter.subject, headers=letter.headers, body=letter.body
            )
            publish(tx, message, now)
            deadletters.mark_replayed(tx, letter.id, now)

        await store.submit(unit, patient=False)

    async def find(id: int) -> DeadLetter:
        letter = await store.read(lambda db: deadletters.get(db, id))
        if letter is None:
            raise Refused(404, f"no dead letter {id}; `ganglion deadletters list` lists them")
        return letter

    return (
        Verb(name="deadletters", description="Messages that could not be taken in or sent, newest first.",
             request=DeadLetters, answer=DeadLetterList, handle=list_),
        Verb(name="deadletter", description="One dead letter.", request=ByNumber, answer=DeadLetterInfo, handle=one),
        Verb(name="replay", description="Take a dead letter in, or send it, again.", request=ByNumber, answer=Done,
             handle=replay, is_repeatable=False),
    )  # fmt: skip


def _info(letter: DeadLetter, *, whole: bool = False) -> DeadLetterInfo:
    body = letter.body[:SHOWN_BYTES] if whole else b""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = repr(body)
    return DeadLetterInfo(
        id=letter.id,
        origin=letter.origin,
        workflow=letter.workflow,
        subject=letter.subject,
        reason=letter.reason,
        size=letter.size,
        received_at=format_time(letter.received_at),
        replayed_at=None if letter.replayed_at is None else format_time(letter.replayed_at),
        headers=letter.headers,
        body=text,
    )
