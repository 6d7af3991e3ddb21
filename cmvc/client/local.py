"""Calls in this process, by the services that are installed."""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from cmvc import process
from cmvc.client.abilities import Capabilities, Health
from cmvc.client.call import ENCODE, Kind, Work
from cmvc.client.sources import opened
from cmvc.control import Control
from cmvc.errors import MissingServiceError
from cmvc.options import Options
from cmvc.services import load_decoder, load_encoder
from cmvc.wire import tracing

S = TypeVar("S")


class Local:
    """Carries calls to pipelines, which work in the thread that takes the messages."""

    target = ""

    def __init__(self, encoder: Options | None) -> None:
        """Encode with the models that ``encoder`` names. Prepares the process (see ``cmvc.process``)."""
        process.prepare()
        self._encoder = encoder

    def exchange(self, kind: Kind, source: Any, config: Any, work: Work, span: tracing.AnySpan) -> Generator[Any]:
        """See ``cmvc.client.call.Transport``."""
        with opened(source, work) as file:
            if kind is ENCODE:
                encoder = load_encoder()
                yield from span.carry(encoder.encode(file, config, work.control, self._encoder or encoder.options()))
            else:
                yield from span.carry(load_decoder().decode(file, config, work.control))

    def health(self, control: Control) -> Health:
        """See ``cmvc.client.call.Transport``: whether the services are installed here."""
        control.check()
        return Health(encodes=_installed(load_encoder) is not None, decodes=_installed(load_decoder) is not None)

    def capabilities(self, control: Control) -> Capabilities:
        """See ``cmvc.client.call.Transport``."""
        control.check()
        encoder, decoder = _installed(load_encoder), _installed(load_decoder)
        return Capabilities(
            encoder.capabilities(self._encoder or encoder.options()) if encoder else None,
            decoder.capabilities() if decoder else None,
        )

    def close(self) -> None:
        """Do nothing: services stay loaded."""


def _installed(load: Callable[[], S]) -> S | None:
    try:
        return load()
    except MissingServiceError:
        return None
