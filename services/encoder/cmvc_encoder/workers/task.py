"""What a worker does: it codes one window, asks for descriptions where a model's are wanted, and says what came out."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from cmvc.bitstream.modes import Mode
from cmvc.observer import NullObserver
from cmvc.profiles.profile import Profile
from cmvc.restoration.restorer import load_restorer
from cmvc.v1 import common_pb2, encoder_pb2
from cmvc_encoder.coding.effort import EFFORTS, before_last
from cmvc_encoder.coding.expectations import Seen
from cmvc_encoder.coding.mode import ModeCoder, Trial
from cmvc_encoder.coding.probe import Probe, probe
from cmvc_encoder.coding.registry import Tools, make_coder
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.planning.auto import AutoCoder
from cmvc_encoder.semantics.base import Description, SemanticExtractor
from cmvc_encoder.semantics.embedded import EmbeddedExtractor
from cmvc_encoder.semantics.timed import TimedExtractor
from cmvc_encoder.workers.life import Steps, keep_saying
from cmvc_encoder.workers.pictures import Layout


@dataclass(frozen=True)
class Order:
    """How a window is to be coded.

    Attributes:
        mode: unspecified to choose.
        byte_budget: for all its packets; None when working to ``quality``.
        quality: 1..100.
        effort: how much work goes into it.
        captions: whether pictures are accompanied by captions.
        tries_images: whether IT2V is compared with CODED where that is starved.
        last: whether no window follows, which would take what is left over.
        asked: name of the extractor that is asked for descriptions; "" for the embedded one, which is at hand.
        profile: that the stream is made for.
        restorer: that decoders have for VT2V; "" where they only scale.
        seen: a trial of the window at about its bytes; None where there was none.
        content: see ``Trial``; of the window before.
    """

    mode: Mode.ValueType
    byte_budget: int | None
    quality: int
    effort: encoder_pb2.Effort.ValueType
    captions: bool
    tries_images: bool
    last: bool
    asked: str
    profile: Profile
    restorer: str = ""
    seen: Seen | None = None
    content: str = ""


@dataclass(frozen=True)
class ProbeOrder:
    """A window is to be tried only.

    Attributes:
        byte_budget: about which it is tried.
        effort: how much work goes into it.
    """

    byte_budget: int
    effort: encoder_pb2.Effort.ValueType


@dataclass(frozen=True)
class Task:
    """What a worker is told: the order, a window without its pictures, and how they lie in shared memory.

    The picture after the window's last, where there is one, is the last of them.
    """

    order: Order | ProbeOrder
    window: Window
    layout: Layout
    has_following: bool


@dataclass(frozen=True)
class Alive:
    """A worker says that it works."""


@dataclass(frozen=True)
class Stage:
    """A worker says that a stage has ended."""

    stage: str
    mode: Mode.ValueType
    seconds: float


@dataclass(frozen=True)
class Prepare:
    """A worker tells an extractor what will be described; it is answered by None."""

    runs: Sequence[range]


@dataclass(frozen=True)
class Describe:
    """A worker asks for a description."""

    frames: range
    max_bytes: int
    said: Description | None


@dataclass(frozen=True)
class Failed:
    """A worker's last words where an error ended its work."""

    error: BaseException


Result = Trial | Probe
Message = Alive | Stage | Prepare | Describe | Failed | Result
"""What a worker says; a result comes last."""


class Talk:
    """A worker's end of its connection. Safe to use from several threads."""

    def __init__(self, connection: Connection) -> None:
        """Take the connection."""
        self._connection = connection
        self._sending = threading.Lock()
        self._asking = threading.Lock()

    def say(self, message: Message) -> None:
        """Send a message."""
        with self._sending:
            self._connection.send(message)

    def ask(self, message: Message) -> Description | None:
        """Send a message and return the answer."""
        with self._asking:
            self.say(message)
            answer: Description | None = self._connection.recv()
            return answer


class _Reports(NullObserver):
    """Passes on how long stages took."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def stage(self, stage: str, mode: Mode.ValueType, seconds: float) -> None:
        self._talk.say(Stage(stage, mode, seconds))


class _Asked:
    """An extractor at the other end of the connection, which times itself."""

    def __init__(self, name: str, talk: Talk) -> None:
        self.id = name
        self._talk = talk

    def prepare(self, window: Window, runs: Sequence[range]) -> None:  # noqa: ARG002 - the other end has it
        self._talk.ask(Prepare(runs))

    def describe(
        self,
        window: Window,  # noqa: ARG002
        frames: range,
        max_bytes: int = 120,
        said: Description | None = None,
    ) -> Description:
        answer = self._talk.ask(Describe(frames, max_bytes, said))
        assert answer is not None
        return answer

    def notes(self) -> list[str]:
        return []


def serve(connection: Connection, memory: int) -> None:
    """Do the one task that comes over a connection; its pictures are in the memory behind a file descriptor."""
    task: Task = connection.recv()
    pictures = task.layout.pictures(memory)
    following = pictures.pop() if task.has_following else None
    talk, steps = Talk(connection), Steps()
    threading.Thread(target=keep_saying, args=(lambda: talk.say(Alive()), steps), name="alive", daemon=True).start()
    try:
        window = replace(task.window, pictures=pictures, following=following)
        talk.say(_carried_out(task.order, window, talk, steps))
    except BaseException as error:  # noqa: BLE001 - handed over to whoever waits, whatever it is
        talk.say(Failed(error))


def _carried_out(order: Order | ProbeOrder, window: Window, talk: Talk, steps: Steps) -> Result:
    if isinstance(order, ProbeOrder):
        return probe(window, order.byte_budget, EFFORTS[order.effort], steps)
    return _code(order, window, talk, steps)


def _code(order: Order, window: Window, talk: Talk, steps: Steps) -> Trial:
    observer, effort = _Reports(talk), EFFORTS[order.effort]
    extractor: SemanticExtractor = (
        _Asked(order.asked, talk) if order.asked else TimedExtractor(EmbeddedExtractor(), order.mode, observer)
    )
    tools = Tools(
        extractor,
        order.captions,
        effort if order.last else before_last(effort),
        observer,
        order.profile,
        order.seen,
        order.content,
        load_restorer(order.restorer) if order.restorer else None,
    )
    by_mode = order.mode != common_pb2.MODE_UNSPECIFIED
    coder: ModeCoder = make_coder(order.mode, tools) if by_mode else AutoCoder(tools, order.tries_images)
    if order.byte_budget is None:
        return coder.encode_quality(window, order.quality, steps)
    return coder.encode(window, order.byte_budget, steps)
