"""Scores of a coded clip against the pictures that went in, by FFmpeg with libvmaf.

Scores are taken at the source's size. Frames are paired by number: ``settb`` and ``setpts=N`` number both sides on the
exact frame period, and the counts of frames must agree. libvmaf looks at every frame.
"""

import json
from pathlib import Path
from statistics import fmean

from benchmarks.rd.programs import PROGRAM
from benchmarks.rd.sources import Source
from cmvc.errors import MediaError

REFERENCE = "reference.y4m"
"""Name of the source's pictures in the folder where commands run."""
_VMAF_LOG, _XPSNR_LOG, _FRAMES = "vmaf.json", "xpsnr.txt", "frames.txt"
_MODELS = r"version=vmaf_v0.6.1\:name=vmaf|version=vmaf_v0.6.1neg\:name=vmaf_neg"
_FEATURES = "name=psnr|name=float_ssim|name=float_ms_ssim"
_LIBVMAF_NAMES = {
    "vmaf": "vmaf",
    "vmaf_neg": "vmaf_neg",
    "ms_ssim": "float_ms_ssim",
    "psnr_y": "psnr_y",
    "psnr_u": "psnr_cb",
    "psnr_v": "psnr_cr",
    "ssim": "float_ssim",
}
MOST_DB = 100.0  # stands for the infinite XPSNR of an identical frame


def measure_command(source: Source, video: str) -> list[str]:
    """Return the command that compares ``video``, an elementary stream or Y4M of any size, with the reference."""
    number = f"settb={source.rate.denominator}/{source.rate.numerator},setpts=N"
    graph = (
        f"[0:v]scale={source.width}:{source.height}:flags=lanczos,format=yuv420p,{number},split[a][b];"
        f"[1:v]{number},split[c][d];"
        f"[a][c]libvmaf=model='{_MODELS}':feature='{_FEATURES}':n_threads=1:n_subsample=1"
        f":log_fmt=json:log_path={_VMAF_LOG}[e];"
        f"[b][d]xpsnr=stats_file={_XPSNR_LOG}[f]"
    )
    rate = [] if video.endswith(".y4m") else ["-r", str(source.rate)]
    command = [PROGRAM, "-threads", "1", "-filter_threads", "1", *rate, "-i", video, "-i", REFERENCE]
    command += ["-filter_complex", graph]
    for output, muxer in (("[e]", ["null", "-"]), ("[f]", ["null", "-"]), ("0:v", ["framecrc", _FRAMES])):
        command += ["-map", output, "-fps_mode", "passthrough", "-f", *muxer]
    return command


def read_scores(source: Source, folder: Path) -> dict[str, float]:
    """Return the scores that the command has left in the folder.

    Raises:
        MediaError: the video has not as many frames as the source.
    """
    lines = (folder / _FRAMES).read_text().splitlines()
    decoded = sum(not line.startswith("#") for line in lines)
    frames = [frame["metrics"] for frame in json.loads((folder / _VMAF_LOG).read_bytes())["frames"]]
    if not decoded == len(frames) == source.frames:
        raise MediaError(f"{source.name} has {source.frames} frames; {decoded} came back, {len(frames)} were compared")
    scores = {name: fmean(frame[theirs] for frame in frames) for name, theirs in _LIBVMAF_NAMES.items()}
    return {**scores, "xpsnr": fmean(_xpsnr_y(folder / _XPSNR_LOG))}


def _xpsnr_y(log: Path) -> list[float]:
    """Return XPSNR of luma of each frame, in dB, from lines such as ``n:    1  XPSNR y: 29.1  XPSNR u: ...``."""
    values = []
    for line in log.read_text().splitlines():
        if line.startswith("n:"):
            values.append(min(float(line.split("XPSNR y:")[1].split()[0]), MOST_DB))
    return values
