"""Whose work a gateway's backend is given next, with a backend that answers as decoders do."""

import asyncio

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from cmvc.errors import ServerError
from cmvc.v1 import decoder_pb2
from cmvc.v1.decoder_pb2_grpc import VideoDecoderServicer, add_VideoDecoderServicer_to_server
from cmvc.wire.security import ChannelSecurity
from cmvc_gateway import backends
from cmvc_gateway.backends import decoder_pool
from cmvc_gateway.spread import segments_given


class Backend(VideoDecoderServicer):
    """Works on one segment at a time, so that it is given two."""

    async def GetCapabilities(self, _request, _context):  # noqa: N802
        return decoder_pb2.VideoDecoderGetCapabilitiesResponse(segments_at_once=1)


async def scenario(check):
    server = grpc.aio.server()
    add_VideoDecoderServicer_to_server(Backend(), server)
    answers = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(answers, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    pool = decoder_pool([f"127.0.0.1:{port}"], ChannelSecurity(), wait_s=10)
    await answers.set(pool.service, 1)
    await pool.start()

    async def hold(tenant, ended):
        async with pool.lease(lambda _: True, segments_given, tenant=tenant):
            await ended.wait()

    try:
        await check(pool, hold)
    finally:
        await pool.close()
        await server.stop(None)


async def ticks():
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_flood_waits_behind_nobody_alone_and_leaves_room_for_who_is_about(monkeypatch):
    monkeypatch.setattr(backends, "ABOUT_SECONDS", 1e9)

    async def check(pool, hold):
        (backend,) = pool.backends
        ends = [asyncio.Event() for _ in range(4)]
        flood = [asyncio.create_task(hold("flood", end)) for end in ends]
        await ticks()
        assert backend.outstanding == 2  # alone it has the place in line, too
        calm_ends = asyncio.Event()
        calm = asyncio.create_task(hold("calm", calm_ends))
        ends[0].set()
        await ticks()
        assert backend.outstanding == 2  # the next place is the calm one's
        calm_ends.set()
        await calm
        await ticks()
        assert backend.outstanding == 1  # and stays free for it while it is about
        async with pool.lease(lambda _: True, segments_given, tenant="calm") as given:
            assert given is backend
        for end in ends:
            end.set()
        await asyncio.wait(flood)
        assert backend.outstanding == 0

    asyncio.run(asyncio.wait_for(scenario(check), 30))


def test_a_flood_has_all_places_again_once_nobody_else_is_about(monkeypatch):
    monkeypatch.setattr(backends, "ABOUT_SECONDS", 0.0)

    async def check(pool, hold):
        (backend,) = pool.backends
        async with pool.lease(lambda _: True, segments_given, tenant="calm"):
            pass
        end = asyncio.Event()
        flood = [asyncio.create_task(hold("flood", end)) for _ in range(3)]
        await ticks()
        assert backend.outstanding == 2
        end.set()
        await asyncio.wait(flood)

    asyncio.run(asyncio.wait_for(scenario(check), 30))


def test_a_backend_that_fails_again_and_again_rests_no_longer_than_the_longest_rest():
    async def check(pool, _hold):
        (backend,) = pool.backends
        clock, rests = asyncio.get_running_loop().time, []
        for _ in range(1100):  # more powers of two than a float holds
            pool.failed(backend, ServerError("no"))
            rests.append(backend.rests_until - clock())
        assert max(rests) <= backends.MOST_REST_S
        assert rests[-1] > backends.MOST_REST_S / 2
        pool.worked(backend)
        assert (backend.failures, backend.rests_until) == (0, 0)

    asyncio.run(asyncio.wait_for(scenario(check), 30))
