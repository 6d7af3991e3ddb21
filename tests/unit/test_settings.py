import pytest

from cmvc.errors import InvalidSettingError
from cmvc.settings import decode_config, encode_config, parse_audio, parse_bitrate
from cmvc.v1 import common_pb2, decoder_pb2, encoder_pb2


@pytest.mark.parametrize(
    ("text", "rate"), [("8k", 8000), ("12000", 12000), ("1.5M", 1_500_000), ("0.5k", 500), (" 40K ", 40000), ("1", 1)]
)
def test_bit_rates(text, rate):
    assert parse_bitrate(text) == rate


@pytest.mark.parametrize("text", ["", "k", "-8k", "8 k", "8g", "1e3", "0", "0.0001", "2000M", "nan", "8k8"])
def test_what_is_no_bit_rate(text):
    with pytest.raises(InvalidSettingError):
        parse_bitrate(text)


def test_audio():
    assert parse_audio("none").WhichOneof("treatment") is None
    assert parse_audio("auto", "fra") == encoder_pb2.AudioConfig(keep=True, track="fra")
    assert parse_audio("copy").copy
    assert parse_audio("opus:8k").opus_bits_per_second == 8000


@pytest.mark.parametrize("text", ["", "opus", "opus:", "opus:x", "aac:8k", "Copy"])
def test_what_is_no_audio(text):
    with pytest.raises(InvalidSettingError):
        parse_audio(text)


def test_encode_config_says_what_was_asked():
    config = encode_config(mode="it2v", bitrate="8k", audio="opus:6k", latency_ms=2000, seed=9)
    assert config.mode == common_pb2.MODE_IT2V
    assert (config.bits_per_second, config.latency_ms, config.seed) == (8000, 2000, 9)
    assert config.audio.opus_bits_per_second == 6000
    assert encode_config(quality=40).WhichOneof("target") == "quality"
    assert encode_config().WhichOneof("target") is None


@pytest.mark.parametrize(
    "settings",
    [{"mode": "x"}, {"bitrate": 1000, "quality": 5}, {"quality": 0}, {"quality": 101}, {"seed": -1}, {"seed": 1 << 16}],
)
def test_encode_config_refuses(settings):
    with pytest.raises(InvalidSettingError):
        encode_config(**settings)


@pytest.mark.parametrize(
    ("settings", "output"),
    [
        ({"name": "a/b.Y4M"}, decoder_pb2.OUTPUT_FORMAT_Y4M),
        ({"name": "a.mp4"}, decoder_pb2.OUTPUT_FORMAT_FMP4),
        ({"name": "-"}, decoder_pb2.OUTPUT_FORMAT_FMP4),
        ({"name": "a.y4m", "output": "mp4"}, decoder_pb2.OUTPUT_FORMAT_FMP4),
    ],
)
def test_output_goes_by_name_unless_said(settings, output):
    assert decode_config(**settings).format == output


def test_unknown_output_is_refused():
    with pytest.raises(InvalidSettingError):
        decode_config(output="avi")
