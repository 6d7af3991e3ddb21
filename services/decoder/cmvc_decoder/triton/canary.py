"""Whether a model in Triton is alive. Triton itself says "ready" also when the model's process is dead.

The canary is a small piece of real work (``cmvc_decoder.triton.sign_of_life``). It stands in line behind other work, of
other decoders too, so that no answer yet says nothing; an error is a death. While real work of this process makes
steps, no canary is sent.
"""

import logging
import math
import threading
import time
from collections.abc import Callable

from cmvc.control import Control
from cmvc.errors import CmvcError, OverloadedError
from cmvc_decoder.triton.address import Address
from cmvc_decoder.triton.call import ask
from cmvc_decoder.triton.wire import CANARY

INTERVAL_S = 2.0
REST = 4  # times as long as a canary took nothing is asked of an idle model,
MOST_REST_S = 15.0  # but no longer than this: one of a compiled model takes seconds of the GPU
FRESH_S = 5.0  # work that made a step so lately needs no canary
log = logging.getLogger(__name__)


class Watch:
    """Looks at one model again and again, in a thread of its own.

    Attributes:
        model: its name.
        alive: what the last look told; False before the first.
        asked: when the canary was sent that has not come back yet, by ``time.monotonic``; None where there is none.
    """

    def __init__(self, address: Address, model: str, changed: Callable[["Watch"], object] = lambda _: None) -> None:
        """Prepare to look at ``model`` in the Triton server at ``address``; call ``changed`` when ``alive`` changes."""
        self.model = model
        self.alive = False
        self._address = address
        self._changed = changed
        self._seen = 0.0
        self.asked: float | None = None
        self._control = Control()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name=f"watch {model}", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def saw_work(self) -> None:
        """Note that real work just made a step."""
        self._seen = time.monotonic()

    def failed(self) -> None:
        """Note that real work just met a dead model; a canary says when it is back."""
        self._seen = 0.0
        self._set(False, "it ended work with an error")

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self._control.cancel()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            if not self.alive or began - self._seen > FRESH_S:
                self._send_canary()
            self._ended.wait(max(INTERVAL_S, min(REST * (time.monotonic() - began), MOST_REST_S)))

    def _send_canary(self) -> None:
        self.asked = time.monotonic()
        try:
            for _ in ask(self._address, self.model, CANARY, self._control, silent_s=math.inf):
                pass
        except OverloadedError:
            pass  # the line is full of work, and a line that moves needs a living model
        except CmvcError as error:
            self._set(False, str(error))
        else:
            self._set(True, "the canary came back")
        self.asked = None

    def _set(self, alive: bool, why: str) -> None:
        if alive != self.alive and not self._ended.is_set():
            self.alive = alive
            level, state = (logging.INFO, "up") if alive else (logging.WARNING, "down")
            log.log(level, "model %s is %s: %s", self.model, state, why)
            self._changed(self)
