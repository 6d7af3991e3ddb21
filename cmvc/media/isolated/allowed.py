"""What FFmpeg may open and decode for strangers: what cameras, phones, editors and the web write.

It has demuxers for 300 more containers, some of which open devices or other files, and decoders for 400 more codecs.
"""

from dataclasses import replace

from cmvc.limits import Limits

CONTAINERS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg", "mxf", "nut", "dv", "ivf", "obu"),
    *("yuv4mpegpipe", "h264", "hevc", "av1", "m4v", "vc1", "mjpeg", "gif", "apng", "png_pipe", "jpeg_pipe"),
    *("webp_pipe",),
)
DECODERS = (
    *("libdav1d", "av1", "h264", "hevc", "vp8", "vp9", "libvpx", "libvpx-vp9", "vvc"),
    *("mpeg1video", "mpeg2video", "mpegvideo", "mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4", "h263", "flv", "vp6"),
    *("vp6f", "vp6a", "wmv1", "wmv2", "wmv3", "vc1", "theora", "dvvideo", "mjpeg", "jpeg2000", "prores", "dnxhd"),
    *(
        "cfhd",
        "ffv1",
        "ffvhuff",
        "huffyuv",
        "utvideo",
        "magicyuv",
        "qtrle",
        "rawvideo",
        "v210",
        "gif",
        "apng",
        "png",
        "webp",
    ),
    *("aac", "aac_latm", "mp1float", "mp2float", "mp3float", "mp1", "mp2", "mp3", "opus", "libopus", "vorbis", "flac"),
    *("alac", "ac3", "eac3", "dca", "truehd", "mlp", "wmav1", "wmav2", "wmapro", "amrnb", "amrwb", "libopencore_amrnb"),
    *("libopencore_amrwb", "speex", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "pcm_u8", "pcm_s8"),
    *("pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be"),
    *("pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw", "pcm_dvd", "pcm_bluray"),
)


def for_strangers(limits: Limits) -> Limits:
    """Return ``limits`` with containers and decoders bounded, too."""
    return replace(limits, containers=CONTAINERS, decoders=DECODERS)
