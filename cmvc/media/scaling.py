"""Brings pictures to another size: the same samples on every machine."""

import threading

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from cmvc.media.frames import from_frame, plane_of, to_frame, to_gray_frame
from cmvc.media.picture import Picture, Plane, chroma_size

# FFmpeg's, rounding exactly. It takes a sixth of the time of OpenCV's Lanczos, and looks as good (docs/adr/0023).
KERNEL = Interpolation.LANCZOS | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
LEAST_SIDE = 16  # pixels; FFmpeg's scaler wants a few samples under its window
_scalers = threading.local()  # one in each thread: it keeps what it set up for the sizes that it saw last


def resize(picture: Picture, width: int, height: int) -> Picture:
    """Return the picture at another size: Lanczos when growing, area-averaged when shrinking."""
    if (picture.width, picture.height) == (width, height):
        return picture
    if _grows(picture, width, height):
        return from_frame(_grown(to_frame(picture), width, height))
    how = _interpolation(picture, width, height)
    small = chroma_size(width, height)
    return Picture(
        np.asarray(cv2.resize(picture.y, (width, height), interpolation=how), np.uint8),
        np.asarray(cv2.resize(picture.u, small, interpolation=how), np.uint8),
        np.asarray(cv2.resize(picture.v, small, interpolation=how), np.uint8),
    )


def resize_luma(picture: Picture, width: int, height: int) -> Plane:
    """Return the luma that ``resize`` gives."""
    if (picture.width, picture.height) == (width, height):
        return picture.y
    if _grows(picture, width, height):
        return plane_of(_grown(to_gray_frame(picture.y), width, height))
    how = _interpolation(picture, width, height)
    return np.asarray(cv2.resize(picture.y, (width, height), interpolation=how), np.uint8)


def _grows(picture: Picture, width: int, height: int) -> bool:
    """Return whether FFmpeg's scaler makes this size: larger on both sides, from more than a few samples."""
    return width >= picture.width and height >= picture.height and min(picture.width, picture.height) >= LEAST_SIDE


def _grown(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    if not hasattr(_scalers, "scaler"):
        _scalers.scaler = VideoReformatter()
    scaler: VideoReformatter = _scalers.scaler
    return scaler.reformat(frame, width, height, interpolation=KERNEL, threads=1)


def _interpolation(picture: Picture, width: int, height: int) -> int:
    return cv2.INTER_AREA if width * height < picture.width * picture.height else cv2.INTER_LANCZOS4
