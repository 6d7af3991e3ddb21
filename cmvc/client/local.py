"""Calls in this process, by the services that are installed."""

from collections.abc import Generator
from typing import Any

from cmvc import process
from cmvc.client.call import ENCODE, Kind, Work
from cmvc.client.sources import opened
from cmvc.options import Options
from cmvc.services import load_decoder, load_encoder
from cmvc.wire import tracing


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

    def close(self) -> None:
        """Do nothing: services stay loaded."""
