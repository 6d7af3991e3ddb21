"""The server that every service runs in: health, reflection, tokens, metrics, and a decent end."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection

from cmvc.server.callers import CallerInterceptor
from cmvc.server.deadline import DeadlineInterceptor
from cmvc.server.health import LOOK_SECONDS, Health
from cmvc.server.idle import IdleInterceptor
from cmvc.server.listening import listen
from cmvc.server.logs import SAID
from cmvc.server.options import ServerOptions
from cmvc.server.parsing import ParsingInterceptor
from cmvc.server.probes import ProbeInterceptor
from cmvc.server.quotas import QuotaInterceptor
from cmvc.server.scraping import serve_metrics
from cmvc.services import Attached
from cmvc.wire.bridge import overdue_s
from cmvc.wire.channel import SERVER_OPTIONS

log = logging.getLogger(__name__)
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
LAST_SECONDS = 2.0  # for cancelled work to end in, once no call waits for it any more
MOST_PROBES = 128  # at once
MOST_CALLS = 4096  # at once, whatever they are: what waits, watches or dawdles takes memory, too


def run(
    attach: Callable[[grpc.aio.Server], Attached],
    options: ServerOptions,
    new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Serve in an event loop of its own, one from ``new_loop`` where that is given; else see ``serve``.

    Where work goes on that nothing can end, this ends the process: with status 1, unless it was asked to stop.
    """
    with asyncio.Runner(loop_factory=new_loop) as runner:
        asked = runner.run(serve(attach, options))
    if overdue_s():  # the interpreter would wait for it
        log.error("work that nothing can end is left; this process ends with it")
        logging.shutdown()
        os._exit(int(not asked))
    if not asked:
        sys.exit(1)


async def serve(attach: Callable[[grpc.aio.Server], Attached], options: ServerOptions) -> bool:
    """Serve until SIGTERM, SIGINT or SIGHUP (where that is not ignored), then let the calls in flight end.

    A signal that comes while the service starts ends that. It stops by itself where work goes on for
    ``options.overdue_s`` after its call has ended: its place will not come back, and whoever supervises this starts it
    again.

    Says ``listening on HOST:PORT`` (see ``cmvc.server.logs.SAID``) once calls are taken.

    Returns:
        Whether it was asked to stop.

    Raises:
        InvalidSettingError: it would listen in the clear where other machines reach it.
        AddressError: nothing can listen on one of the addresses.
        CmvcError: the service cannot start.
    """
    options.security.check_address(options.listen)
    server = grpc.aio.server(interceptors=_guards(options), options=SERVER_OPTIONS, maximum_concurrent_rpcs=MOST_CALLS)
    service = attach(server)
    reporting = Health(service)
    reporting.answer(server)
    if options.reflection:
        names = (*service.names, _HEALTH, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    await reporting.starting()
    stop = stop_event(options.end_with_stdin)
    address = listen(server, options.listen, options.security.credentials())
    if options.private:
        listen(server, options.private, None)
    probed = await _probed(reporting, options.health_listen) if options.health_listen else None
    metrics = serve_metrics(options.metrics_listen) if options.metrics_listen else None
    asked = True
    if await _started(service, stop):
        await server.start()
        await reporting.look()
        if metrics:
            say(f"metrics on http://{metrics.address}/metrics")
        say(f"listening on {address}")
        asked = await _stopped(reporting, options.overdue_s, stop)
        await server.stop(options.grace_s)
        await service.close()
    if probed:
        await probed.stop(None)
    if metrics:
        metrics.server.shutdown()
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_SECONDS):
            while overdue_s():
                await asyncio.sleep(0.05)
    return asked


async def _started(service: Attached, stop: asyncio.Event) -> bool:
    """Start the service and return True; False where ``stop`` is set before: weights may load for minutes."""
    starting, stopping = asyncio.ensure_future(service.start()), asyncio.create_task(stop.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        await starting
        return True
    starting.cancel()
    await asyncio.wait([starting], timeout=LAST_SECONDS)
    return False


async def _stopped(reporting: Health, overdue: float, stop: asyncio.Event) -> bool:
    """Tell how the service is until ``stop`` is set, or work is lost; return whether it was asked to stop."""
    watching = asyncio.create_task(reporting.watch())
    lost = asyncio.create_task(_lost(overdue, stop))
    await stop.wait()
    for number in stop_signals():
        asyncio.get_running_loop().remove_signal_handler(number)  # a second one ends this at once
    asked = not lost.done()
    for task in (watching, lost):
        task.cancel()
    await reporting.ending()
    return asked


async def _lost(seconds: float, stop: asyncio.Event) -> None:
    """Wait for work whose place will not come back, and set ``stop`` then."""
    while overdue_s() < seconds:
        await asyncio.sleep(LOOK_SECONDS)
    log.error("work has gone on for %.0f s after its call ended; this server stops, to be started again", overdue_s())
    stop.set()


def _guards(options: ServerOptions) -> list[Any]:
    """Return what stands around calls, the first outermost."""
    return [
        CallerInterceptor(options.security.tokens(), options.client_names()),
        DeadlineInterceptor(options.deadline_s),
        ParsingInterceptor(),
        QuotaInterceptor(options.hourly),
        IdleInterceptor(options.idle_s),
        ProbeInterceptor(),
    ]


async def _probed(reporting: Health, address: str) -> grpc.aio.Server:
    """Return a server in the clear that answers health checks alone; it has nothing to hide and nothing to give."""
    guards: list[Any] = [ProbeInterceptor()]
    server = grpc.aio.server(interceptors=guards, options=SERVER_OPTIONS, maximum_concurrent_rpcs=MOST_PROBES)
    reporting.answer(server)
    say(f"health on {listen(server, address, None)}")
    await server.start()
    return server


def say(line: str) -> None:
    """Say a line that whoever started this server waits for."""
    logging.getLogger(SAID).info(line)


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return what ends a server decently: not SIGHUP under ``nohup``, which has it ignored."""
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGTERM, signal.SIGINT, *hangup)


def stop_event(end_with_stdin: bool) -> asyncio.Event:
    """Return what is set by the first of ``stop_signals``, or at the end of standard input where that ends this."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stop_signals():
        loop.add_signal_handler(number, stop.set)
    if end_with_stdin:

        def look() -> None:
            if not os.read(sys.stdin.fileno(), 1):
                loop.remove_reader(sys.stdin.fileno())
                stop.set()

        loop.add_reader(sys.stdin.fileno(), look)
    return stop
