"""The routes."""

import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from cmvc.errors import CmvcError
from cmvc.server.tokens import Tokens
from cmvc_web.answers import LINES, failed, lines_of
from cmvc_web.decode_call import Decoding
from cmvc_web.decoding import COMING_SECONDS, GONE_SECONDS
from cmvc_web.encoding import OWN, Making, check_parameters, settings_of, whole_number
from cmvc_web.growing import GrowingFile
from cmvc_web.guard import Accounts, Guard, Patience
from cmvc_web.looking import download_name, look, start_of_range
from cmvc_web.playlist import playlist
from cmvc_web.scoring import Scoring, measures
from cmvc_web.studio import Studio
from cmvc_web.video import Video

HERE = Path(__file__).parent
STREAM_TYPE = "application/vnd.cmvc"
_NO_STORE = {"Cache-Control": "no-store"}


class Routes:
    """What is answered, by ``studio``."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    async def encode(self, request: Request) -> ASGIApp:
        """Encode the body; say what happens in lines."""
        return Making(self._studio, request, settings_of(request.query_params))

    async def keep(self, request: Request) -> ASGIApp:
        """Keep the body, a CMVC stream; say what is in it in lines."""
        check_parameters(request.query_params, OWN)
        return Making(self._studio, request, None)

    async def decode(self, request: Request) -> ASGIApp:
        """Decode the body, a CMVC stream."""
        return Decoding(self._studio, request)

    async def about(self, request: Request) -> Response:
        """Say what a result is."""
        return JSONResponse(await look(self._studio, self._studio.result(request)), headers=_NO_STORE)

    async def delete(self, request: Request) -> Response:
        """Forget a result."""
        self._studio.store.remove(self._studio.result(request))
        return Response(status_code=204)

    async def events(self, request: Request) -> Response:
        """Say what happens to a result, from where the caller left off."""
        result = self._studio.result(request)
        after = request.query_params.get("after", "")
        events = result.events.follow(whole_number("after", after) if after else -1)
        return StreamingResponse(lines_of(events), media_type=LINES, headers=_NO_STORE)

    async def stream(self, request: Request) -> Response:
        """Give the CMVC stream of a result, whole or while it is made."""
        result = self._studio.result(request)
        if result.ready:
            return FileResponse(result.stream_path, media_type=STREAM_TYPE, filename=download_name(result, "cmvc"))
        assert result.stream
        return StreamingResponse(result.stream.follow(), media_type=STREAM_TYPE, headers=_NO_STORE)

    async def video(self, request: Request) -> Response:
        """Give a result as video: a part that is asked for, once it is there; else from the start as it is made."""
        result = self._studio.result(request)
        if result.video and result.video.file.path.exists():
            name = download_name(result, "mp4") if "download" in request.query_params else None
            return FileResponse(result.video_path, media_type="video/mp4", filename=name)
        wanted = start_of_range(request.headers.get("range", ""))
        return await self._watch(request, *(wanted or (0, None)), COMING_SECONDS)

    async def fragments(self, request: Request) -> Response:
        """Give a result as video from its start, as it is made; the type says what plays it."""
        return await self._watch(request, 0, None, GONE_SECONDS)

    def _watched(self, request: Request, linger: float) -> AbstractAsyncContextManager[Video]:
        return self._studio.decodes.watched(self._studio.result(request), self._studio.shown(request), linger)

    async def _watch(self, request: Request, start: int, stop: int | None, linger: float) -> Response:
        async with AsyncExitStack() as stack:
            video = await stack.enter_async_context(self._watched(request, linger))
            codecs = await video.codecs()
            headers, status = dict(_NO_STORE), 200
            if stop is not None:
                await video.file.reach(stop)
                stop = min(stop, video.file.size)
                headers |= {"Content-Range": f"bytes {start}-{stop - 1}/*", "Content-Length": str(stop - start)}
                status = 206
            pieces = _pieces(video.file, start, stop, stack.pop_all())
            return StreamingResponse(pieces, status, headers, f'video/mp4; codecs="{codecs}"')

    async def hls(self, request: Request) -> Response:
        """Give the HLS playlist of a result, as far as it is decoded."""
        async with self._watched(request, COMING_SECONDS) as video:
            await video.codecs()
            await video.more(1)
            whole = video.file.path.exists()
            text = playlist(
                video.fragments.init_bytes, video.fragments.found, video.seconds if whole else None, "video.mp4"
            )
        return Response(text, media_type="application/vnd.apple.mpegurl", headers=_NO_STORE)

    async def scores(self, request: Request) -> ASGIApp:
        """Measure a result against the body, the original."""
        return Scoring(self._studio, request)

    async def capabilities(self, request: Request) -> Response:
        """Say what can be done here."""
        can = await self._studio.capabilities(self._studio.shown(request))
        return JSONResponse({**can, "measures": measures()}, headers=_NO_STORE)

    async def openapi(self, _request: Request) -> Response:
        """Give the description of this API."""
        return FileResponse(HERE / "openapi.json", media_type="application/json")

    async def healthy(self, _request: Request) -> Response:
        """Say that this process answers."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """Say whether work can be done."""
        serving = await self._studio.serving()
        return JSONResponse({"status": "SERVING" if serving else "NOT_SERVING"}, 200 if serving else 503)

    def all(self) -> list[Route | Mount]:
        """Return the routes."""
        one = "/v1/streams/{id}"
        return [
            Route("/v1/encode", self.encode, methods=["POST"]),
            Route("/v1/decode", self.decode, methods=["POST"]),
            Route("/v1/streams", self.keep, methods=["POST"]),
            Route(one, self.about, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/events", self.events),
            Route(f"{one}/scores", self.scores, methods=["POST"]),
            Route(f"{one}/stream.cmvc", self.stream),
            Route(f"{one}/video.mp4", self.video),
            Route(f"{one}/fragments", self.fragments),
            Route(f"{one}/hls.m3u8", self.hls),
            Route("/v1/capabilities", self.capabilities),
            Route("/v1/openapi.json", self.openapi),
            Route("/healthz", self.healthy),
            Route("/readyz", self.ready),
            Mount("/", StaticFiles(directory=HERE / "static", html=True)),
        ]


async def _pieces(file: GrowingFile, start: int, stop: int | None, watching: AsyncExitStack) -> AsyncGenerator[bytes]:
    """Yield a part of a video while it is watched."""
    async with watching, aclosing(file.follow(start, stop)) as parts:
        async for each in parts:
            yield each


class Headers:
    """Says in every answer that pages of this server load from it alone, and are no part of others."""

    _VALUES: tuple[tuple[bytes, bytes], ...] = (
        (
            b"content-security-policy",
            b"default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; frame-ancestors 'none'",
        ),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    )

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """See the class."""

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._VALUES]}
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def make_app(studio: Studio, tokens: Tokens | None) -> Starlette:
    """Return the application.

    Args:
        studio: does the work.
        tokens: accepted; None: everyone.
    """
    origins = list(studio.options.cors)
    exposed = ["Location", "Content-Range", "Retry-After"]
    middleware = [
        Middleware(Headers),
        Middleware(Patience, seconds=studio.idle_s),
        Middleware(Accounts),
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Range"],
            expose_headers=exposed,
        ),
        Middleware(Guard, tokens=tokens, origins=origins),
    ]
    return Starlette(
        routes=Routes(studio).all(), middleware=middleware, exception_handlers={CmvcError: failed, 500: _defect}
    )


async def _defect(_request: Request, _error: Exception) -> Response:
    body = {"status": 500, "code": "INTERNAL", "reason": "SERVER_FAILED"}
    message = "the server failed; its log says more"
    return Response(json.dumps({"error": {**body, "message": message, "what_to_do": "try again"}}), 500)
