"""One bound for each number of a request, wherever it is said."""

import re
from pathlib import Path

import click
import pytest

from cmvc.bounds import ENCODE_BOUNDS, check_bounds
from cmvc.cli.encode import command
from cmvc.errors import InvalidSettingError
from cmvc.settings import encode_config
from cmvc.v1 import encoder_pb2
from cmvc_encoder.job import read_job

PROTO = (Path(__file__).parents[2] / "proto/cmvc/v1/encoder.proto").read_text()
ARGUMENTS = {
    "bits_per_second": "bitrate",
    "quality": "quality",
    "latency_ms": "latency_ms",
    "seed": "seed",
    "keyframes.threshold": "keyframe_threshold",
    "keyframes.max_gap_ms": "keyframe_gap_ms",
}
FLAGS = {
    "quality": ("quality", 1),
    "latency_ms": ("latency", 1000),
    "seed": ("seed", 1),
    "keyframes.threshold": ("keyframe_threshold", 1),
    "keyframes.max_gap_ms": ("keyframe_gap", 1000),
}


def config_with(path, value):
    config = encoder_pb2.EncodeConfig()
    message, name = config, path
    if "." in path:
        outer, name = path.split(".")
        message = getattr(config, outer)
    setattr(message, name, value)
    return config


def beside(bound):
    step = 0.5 if bound.most == 1 else 1
    return [value for value in (bound.least - step, bound.most + step) if value > 0 or step < 1]


@pytest.mark.parametrize("path", ENCODE_BOUNDS)
def test_the_proto_says_it_in_the_fields_comment(path):
    bound = ENCODE_BOUNDS[path]
    comment, *_ = re.findall(rf"((?: *//.*\n)+) *(?:optional )?\w+ {path.rpartition('.')[2]} = \d+;", PROTO)
    # EncodeSummary, further down, has a field of the same name as one of these.
    assert f"{bound.least}..{bound.most}" in comment


@pytest.mark.parametrize("path", ENCODE_BOUNDS)
def test_the_encoder_takes_the_ends_and_nothing_beside_them(path):
    bound = ENCODE_BOUNDS[path]
    for value in (bound.least, bound.most):
        check_bounds(config_with(path, value))
    for value in beside(bound):
        with pytest.raises(InvalidSettingError, match="is not within") as raised:
            read_job(config_with(path, value))
        assert raised.value.field == f"config.{path}"


@pytest.mark.parametrize("path", ARGUMENTS)
def test_the_sdk_takes_the_same(path):
    bound = ENCODE_BOUNDS[path]
    for value in (bound.least, bound.most):
        assert encode_config(**{ARGUMENTS[path]: value}) is not None
    for value in (*beside(bound), -1):
        with pytest.raises(InvalidSettingError):
            encode_config(**{ARGUMENTS[path]: value})


@pytest.mark.parametrize("path", FLAGS)
def test_the_command_line_takes_the_same(path):
    name, unit = FLAGS[path]
    (option,) = (each for each in command.params if each.name == name)
    assert isinstance(option.type, click.IntRange | click.FloatRange)
    assert (option.type.min * unit, option.type.max * unit) == (ENCODE_BOUNDS[path].least, ENCODE_BOUNDS[path].most)


def test_not_a_number_is_within_no_bound():
    with pytest.raises(InvalidSettingError):
        check_bounds(config_with("keyframes.threshold", float("nan")))


def test_a_rate_of_nothing_is_no_rate():
    with pytest.raises(InvalidSettingError):
        check_bounds(encoder_pb2.EncodeConfig(bits_per_second=0))
    check_bounds(encoder_pb2.EncodeConfig())


def test_a_threshold_of_0_is_one():
    assert encode_config(keyframe_threshold=0).keyframes.HasField("threshold")
    assert not encode_config().keyframes.HasField("threshold")
