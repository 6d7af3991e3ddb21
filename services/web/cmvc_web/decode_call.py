"""``POST /v1/decode``: a CMVC stream in, the video out, while it comes. Nothing is kept."""

from contextlib import aclosing

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from cmvc.control import Control
from cmvc.errors import CmvcError
from cmvc.server import telemetry
from cmvc.server.idle import STREAM_PACE
from cmvc.settings import decode_config
from cmvc.v1 import common_pb2
from cmvc_web.encoding import deadline_of
from cmvc_web.studio import Studio, tenant_of
from cmvc_web.uploads import Upload

_TYPES = {"mp4": b"video/mp4", "y4m": b"video/x-yuv4mpeg"}


class Decoding:
    """The answer: the video. What fails after its first bytes cuts the connection."""

    def __init__(self, studio: Studio, request: Request) -> None:
        """Plan it.

        Raises:
            InvalidSettingError: the parameters of the request are wrong.
        """
        self._studio = studio
        self._tenant = tenant_of(request)
        self._token = studio.shown(request)
        self._deadline_s = deadline_of(request)
        self._output = request.query_params.get("output", "mp4")
        self._config = decode_config(profile=request.query_params.get("profile", ""), output=self._output)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        store, control = self._studio.store, Control()
        async with self._studio.slots.take(self._tenant):
            result = store.add("", self._tenant, "")
            try:
                with result.held():
                    most_bytes = self._studio.options.upload_mib << 20
                    idle_s = self._studio.idle_s
                    upload = Upload(receive, result, control, most_bytes, idle_s, least_pace=STREAM_PACE)
                    async with upload.coming():
                        await self._decode(upload, control, scope, send)
            finally:
                store.remove(result)

    async def _decode(self, upload: Upload, control: Control, scope: Scope, send: Send) -> None:
        begun, seconds, clock = False, 0.0, telemetry.RequestClock("decode")

        def note(progress: common_pb2.Progress) -> None:
            nonlocal seconds
            seconds = progress.seconds_done

        async with aclosing(upload.file.follow()) as source:
            transfer = self._studio.client.decode_stream(
                source,
                self._config,
                progress=note,
                deadline_s=self._deadline_s,
                control=control,
                token=self._token,
            )
            async with transfer:
                try:
                    async for data in transfer:
                        if not begun:
                            head = [(b"content-type", _TYPES[self._output]), (b"cache-control", b"no-store")]
                            await send({"type": "http.response.start", "status": 200, "headers": head})
                            begun = True
                        clock.output()
                        await send({"type": "http.response.body", "body": data, "more_body": True})
                except CmvcError as error:
                    if not begun:
                        raise
                    scope["cmvc.code"] = error.code.name
                    return  # without its end the answer is known to be cut off
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        clock.done(seconds)
