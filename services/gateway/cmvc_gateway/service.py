"""What the entry point ``gateway`` in the group ``cmvc.services`` leads to."""

import grpc
import uvloop

from cmvc.server.slots import Slots
from cmvc.services import Attached, GatewayService
from cmvc.v1.decoder_pb2_grpc import add_VideoDecoderServicer_to_server
from cmvc.v1.encoder_pb2_grpc import add_VideoEncoderServicer_to_server
from cmvc_gateway.backends import DecoderCapabilities, EncoderCapabilities, Pool, decoder_pool, encoder_pool
from cmvc_gateway.capabilities import modes_by_profile, profiles_up
from cmvc_gateway.options import GatewayLimits, GatewayOptions
from cmvc_gateway.results import Budget, Cache, Stores
from cmvc_gateway.room import Room
from cmvc_gateway.servicer import GatewayDecoder, GatewayEncoder
from cmvc_gateway.spread import Spreader


class _Gateway:
    """The gateway in its server."""

    def __init__(
        self,
        encoders: Pool[EncoderCapabilities],
        decoders: Pool[DecoderCapabilities],
        encoder: GatewayEncoder,
        decoder: GatewayDecoder,
    ) -> None:
        self._encoders = encoders
        self._decoders = decoders
        self._encoder = encoder
        self._decoder = decoder
        self.names: tuple[str, ...] = (encoders.service, decoders.service)

    async def start(self) -> None:
        """Look at the backends."""
        await self._encoders.start()
        await self._decoders.start()

    def health(self) -> dict[str, bool]:
        """Return for each kind of work whether anything behind can do it; all in all, whether any kind can be done.

        A gateway without decoders goes on taking videos to encode; to decode, work waits for a while. Each profile that
        a decoder was ever seen to serve is a part of decoding.
        """
        state = {pool.service: pool.any_up for pool in (self._encoders, self._decoders)}
        well, seen = profiles_up(self._decoders.able()), modes_by_profile(self._decoders.known())
        profiles = {f"{self._decoders.service}/{each}": each in well for each in seen}
        return {**state, **profiles, "": any(state.values())}

    async def close(self) -> None:
        """Leave the backends."""
        await self._encoders.close()
        await self._decoders.close()
        self._encoder.close()
        self._decoder.close()


class _Service:
    options = GatewayOptions
    limits = GatewayLimits
    new_loop = staticmethod(uvloop.new_event_loop)

    def attach(self, server: grpc.aio.Server, options: GatewayOptions) -> Attached:
        slots = Slots(options.max_requests, options.waiting, options.max_requests_per_tenant, spare=1)
        stores = Stores(Budget(), Room(options.spool_mib << 20))
        encoder_backends = encoder_pool(options.encoders, options.security, options.wait_s, options.resolver)
        decoder_backends = decoder_pool(options.decoders, options.security, options.wait_s, options.resolver)
        cache = Cache(options.cache_mib << 20)
        spreader = Spreader(decoder_backends, cache, stores, stall_s=options.stall_s, wait_s=options.wait_s)
        decoder = GatewayDecoder(decoder_backends, spreader, slots, threads=options.max_requests)
        encoder = GatewayEncoder(
            encoder_backends,
            decoder_backends,
            slots,
            stores.disk,
            threads=options.max_requests,
            stall_s=options.stall_s,
        )
        add_VideoEncoderServicer_to_server(encoder, server)
        add_VideoDecoderServicer_to_server(decoder, server)
        return _Gateway(encoder_backends, decoder_backends, encoder, decoder)


SERVICE: GatewayService = _Service()
