"""``POST /v1/streams/{id}/scores``: the original in, how near each segment comes to it out.

The measuring is done by a process of its own (``cmvc_web.measure``), which can be killed, and only where what it needs
is installed beside this service.
"""

import asyncio
import json
import shutil
import sys
from asyncio.subprocess import PIPE, Process
from importlib.util import find_spec
from statistics import fmean
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from cmvc.control import Control
from cmvc.errors import (
    InvalidSettingError,
    LimitError,
    MediaCrashedError,
    MediaError,
    MediaStalledError,
    MissingServiceError,
    NoVideoError,
    ServerError,
)
from cmvc.server.idle import VIDEO_PACE
from cmvc.settings import decode_config
from cmvc_web.looking import segments_of
from cmvc_web.store import Result
from cmvc_web.studio import Studio, tenant_of
from cmvc_web.uploads import Upload

VMAF, LPIPS = "vmaf", "lpips"
_OF_THE_ORIGINAL = {
    each.reason: each for each in (MediaError, NoVideoError, MediaCrashedError, MediaStalledError, LimitError)
}
_RAW = decode_config(output="y4m")


def measures() -> list[str]:
    """Return what can be measured here, by what is installed."""

    def has(*modules: str) -> bool:
        return all(find_spec(each) for each in modules)

    if not has("av", "cv2"):
        return []
    vmaf = has("imageio_ffmpeg") or shutil.which("ffmpeg")
    return [name for name, can in ((VMAF, vmaf), (LPIPS, has("torch", "safetensors"))) if can]


class Scoring:
    """The answer: the mean, and one score for each segment; null where nothing of it was looked at."""

    def __init__(self, studio: Studio, request: Request) -> None:
        """Plan it.

        Raises:
            InvalidSettingError: there is no such measure, or the result is not done.
            MissingServiceError: what it needs is not installed here.
            UnknownResultError: there is no such result.
        """
        self._studio = studio
        self._result = studio.result(request)
        self._token = studio.shown(request)
        self._tenant = tenant_of(request)
        self._measure = request.query_params.get("measure", VMAF)
        if self._measure not in (VMAF, LPIPS):
            raise InvalidSettingError(f"there is no measure '{self._measure}'; choose {VMAF} or {LPIPS}")
        if self._measure not in measures():
            raise MissingServiceError(
                f"{self._measure} cannot be measured by this server; whoever runs it installs cmvc-sdk[media], with "
                "imageio-ffmpeg for VMAF, [perceptual] for LPIPS"
            )
        if not self._result.ready:
            raise InvalidSettingError("the stream is still made; ask again when it is done")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        store, control = self._studio.store, Control()
        async with self._studio.slots.take(self._tenant):
            beside = store.add("", self._tenant, "")
            try:
                with beside.held(), self._result.held():
                    most = self._studio.options.upload_mib << 20
                    idle_s = self._studio.idle_s
                    upload = Upload(receive, beside, control, most, idle_s, least_pace=VIDEO_PACE)
                    async with upload.coming():
                        await upload.file.reach(most + 1)  # its end
                        scores = await self._scores(beside, control)
            finally:
                store.remove(beside)
        await JSONResponse(scores)(scope, receive, send)

    async def _scores(self, beside: Result, control: Control) -> dict[str, Any]:
        settings = self._result.settings
        part = [settings.get(name) or "0" for name in ("start", "duration")]
        command = [sys.executable, "-m", "cmvc_web.measure", self._measure, str(beside.folder / "upload"), *part]
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        forget = control.on_cancel(process.kill)
        try:
            feeding = asyncio.create_task(self._feed(process, control))
            assert process.stdout
            said = await process.stdout.read()
            await feeding
            control.check()
            return await self._told(said)
        finally:
            forget()
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _feed(self, process: Process, control: Control) -> None:
        """Give the process the decoded pictures."""
        assert process.stdin
        try:
            transfer = self._studio.client.decode_stream(
                self._result.stream_path, _RAW, control=control, token=self._token
            )
            async with transfer:
                async for data in transfer:
                    process.stdin.write(data)
                    await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return  # it has ended early, and says why
        finally:
            process.stdin.close()

    async def _told(self, said: bytes) -> dict[str, Any]:
        """Return what is answered, of what the process said.

        Raises:
            MediaError, LimitError: the videos cannot be compared.
            ServerError: it said nothing.
        """
        found = json.loads(said or b"{}")
        if "frames" not in found:
            if error := _OF_THE_ORIGINAL.get(found.get("reason", "")):
                raise error(found["error"])
            raise ServerError(found.get("error", "the measuring process ended; the server's log says more"))
        frames = {int(number): score for number, score in found["frames"].items()}
        segments, first = [], 0
        for count in await segments_of(self._studio, self._result):
            within = [score for number, score in frames.items() if first <= number < first + count]
            segments.append(round(fmean(within), 4) if within else None)
            first += count
        return {"measure": self._measure, "mean": round(fmean(frames.values()), 4), "segments": segments}
