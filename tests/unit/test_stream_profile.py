"""A stream says which generator it was made for, with the settings that shape its frames."""

import io

import pytest
from media_files import moving_frames, write_video
from streams import bytes_of

from cmvc.bitstream.stream import DEFAULT_PROFILES, StreamReader
from cmvc.control import Control
from cmvc.errors import InvalidSettingError, LimitError
from cmvc.settings import encode_config, parse_settings
from cmvc.v1 import bitstream_pb2 as pb
from cmvc_decoder.diffusion.settings import Settings, read_settings
from cmvc_decoder.speed.options import SpeedOptions, read_speed
from cmvc_encoder.pipeline import encode
from cmvc_encoder.profile_table import profile_table


def test_profile_and_settings_travel_in_the_table():
    config = encode_config(mode="tt2v", bitrate="2k", profile="wan-vace-1.3b", settings={"steps": "20"})
    data = bytes_of(encode(io.BytesIO(write_video(moving_frames(24))), config, Control()))
    (profile,) = StreamReader(io.BytesIO(data)).profiles.profiles
    assert profile.id == "wan-vace-1.3b"
    assert dict(profile.settings) == {"steps": "20"}


@pytest.mark.parametrize(("profile", "captions"), [("wan-vace-1.3b", True), ("swiftvr", False), ("", False)])
def test_a_video_for_a_model_that_reads_no_text_has_none(profile, captions):
    config = encode_config(mode="vt2v", bitrate="40k", profile=profile)
    data = bytes_of(encode(io.BytesIO(write_video(moving_frames(12))), config, Control()))
    (placed,) = StreamReader(io.BytesIO(data)).segments()
    assert bool(placed.segment.caption) == captions


def test_without_a_profile_the_stream_is_for_the_embedded_one():
    assert profile_table(pb.Profile()) == profile_table(pb.Profile(id="embedded")) == DEFAULT_PROFILES


@pytest.mark.parametrize(
    "profile", [pb.Profile(id="a b"), pb.Profile(id="x", settings={"S": "1"}), pb.Profile(settings={"a": "1"})]
)
def test_names_that_are_none_are_refused(profile):
    with pytest.raises(InvalidSettingError):
        profile_table(profile)


def test_a_table_that_no_reader_would_take_is_refused():
    with pytest.raises(LimitError):
        profile_table(pb.Profile(id="x", settings={"a": "y" * 70_000}))


def test_settings_on_the_command_line():
    assert parse_settings(["steps=20", "few_steps=lcm"]) == {"steps": "20", "few_steps": "lcm"}
    with pytest.raises(InvalidSettingError, match="NAME=VALUE"):
        parse_settings(["steps"])


def test_settings_of_a_stream_replace_the_profiles_own():
    settings = read_settings({"steps": "4", "guidance": "1.5", "few_steps": "lcm"}, Settings(steps=30, guidance=5.0))
    assert settings == Settings(steps=4, guidance=1.5, few_steps="lcm")


@pytest.mark.parametrize(
    "texts",
    [
        {"stepz": "4"},
        {"steps": "0"},
        {"steps": "9999"},
        {"steps": "1.5"},
        {"guidance": "nan"},
        {"cache": "-1"},
        {"pixels": "1e9"},
    ],
)
def test_settings_out_of_range_are_refused(texts):
    with pytest.raises(InvalidSettingError):
        read_settings(texts, Settings(steps=30, guidance=5.0))


def test_speed_options():
    assert read_speed([]) == SpeedOptions(device="auto", dtype="auto")
    options = read_speed(["dtype=bfloat16", "tiling=on", "batch=4"])
    assert (options.dtype, options.tiling, options.batch) == ("bfloat16", True, 4)


@pytest.mark.parametrize(
    "text", ["colour=red", "dtype=int8", "tiling=yes", "batch=0", "batch=x", "compile=all", "dtype"]
)
def test_speed_options_that_are_none_are_refused(text):
    with pytest.raises(InvalidSettingError):
        read_speed([text])
