"""A stream's adapter (LoRA) is the very one that its frames are made with, or the call ends with what to do.

Gateway, decoder and Triton are real; the model is the toy checkpoint, the adapters are random and strong.
"""

import io
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")
pytest.importorskip("peft", reason="adapters need peft")

from adapter_files import make_adapter
from diffusers import WanVACETransformer3DModel
from profile_streams import clip
from servers import servers
from streams import bytes_of
from triton_server import triton

from cmvc.client import Client
from cmvc.control import Control
from cmvc.errors import AdapterMismatchError, InvalidSettingError, MissingWeightsError
from cmvc.profiles.wan_vace import PROFILE as WAN
from cmvc.records import StreamBytes
from cmvc.settings import encode_config
from cmvc.v1 import decoder_pb2
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.pipeline import decode
from cmvc_decoder.weights.adapters import FOLDER, RECORD, read_adapter
from cmvc_encoder.pipeline import encode

pytestmark = pytest.mark.xdist_group("triton")  # see tests/conftest.py
PROFILE = "wan-vace-1.3b"
TOY = Path(__file__).parents[2] / "toy_vace" / "weights"
CONFIG = decoder_pb2.DecodeConfig(format=decoder_pb2.OUTPUT_FORMAT_Y4M)
SETTINGS = {"steps": "2", "guidance": "1", "pixels": "4096"}


@cache
def stream(adapter="", name_alone=""):
    settings = {**SETTINGS, "adapter": name_alone} if name_alone else SETTINGS
    config = encode_config(mode="tt2v", bitrate="2k", profile=PROFILE, settings=settings, adapter=adapter)
    return bytes_of(encode(io.BytesIO(clip()), config, Control()))


def toy_store(root: Path) -> Path:
    (root / PROFILE).mkdir(parents=True)
    (root / PROFILE / "pipeline").symlink_to(TOY)
    return root


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = toy_store(tmp_path_factory.mktemp("store"))
    for seed, name in enumerate(("bend", "other", "stale")):
        denoiser = WanVACETransformer3DModel.from_pretrained(TOY / "transformer")
        make_adapter(denoiser, root / PROFILE / FOLDER / name, seed=seed)
    record = root / PROFILE / FOLDER / "stale" / RECORD
    record.write_text(record.read_text().replace(f'"revision": "{WAN.revision}"', '"revision": "0"'))
    return root


@pytest.fixture(scope="module", params=["in process", "triton"])
def client(request, store):
    with servers() as start:
        profiles = (f"--profile={PROFILE}", "--profile=embedded")
        if request.param == "triton":
            models = request.getfixturevalue("models")
            # A store without weights: what the stream asks for is looked up where the model runs.
            decoder = start("decoder", *profiles, "--triton", models.address, "--models", str(store / "nothing"))
        else:
            decoder = start("decoder", *profiles, "--models", str(store), "--speed=device=cpu")
        gateway = start("gateway", "--decoder", decoder.address, "--cache-mib=64")
        with Client(gateway.address) as each:
            yield each


@pytest.fixture(scope="module")
def models(store):
    with triton(store, PROFILE) as each:
        yield each


def label(store, name):
    return read_adapter(store / PROFILE / FOLDER / name).label


def here(store, data):
    """Return what this process makes of a stream."""
    records = decode(io.BytesIO(data), CONFIG, Control(), InProcessExecutor([PROFILE], store, ()))
    return b"".join(record.data for record in records if isinstance(record, StreamBytes))


def asked(client, data):
    return b"".join(client.decode_stream([data], CONFIG))


def test_frames_are_made_with_the_streams_adapter_and_without_one_by_the_model_alone(client, store, tmp_path):
    bend, other = (asked(client, stream(label(store, name))) for name in ("bend", "other"))
    plain = asked(client, stream())
    assert len({bend, other, plain}) == 3
    assert plain == here(toy_store(tmp_path / "bare"), stream())
    assert bend == here(store, stream(label(store, "bend")))
    assert asked(client, stream(name_alone="bend")) == bend  # whichever is here


def test_another_hash_is_refused_with_both_even_when_the_right_one_is_in_the_cache(client, store):
    right = label(store, "bend")
    bend = asked(client, stream(right))
    with pytest.raises(AdapterMismatchError, match=f"3031323334353637.*{right[-16:]}.*install"):
        asked(client, stream("bend@3031323334353637"))
    assert asked(client, stream(right)) == bend


def test_one_that_is_not_installed_says_where_it_belongs(client):
    with pytest.raises(MissingWeightsError, match=r"absent@3031323334353637.*cmvc models install.*adapters/absent"):
        asked(client, stream("absent@3031323334353637"))


@pytest.mark.slow
def test_a_gateway_finds_the_decoder_that_has_it(store, tmp_path):
    bare = toy_store(tmp_path / "bare")
    with servers() as start:
        options = (f"--profile={PROFILE}", "--speed=device=cpu", "--models")
        decoders = [start("decoder", *options, str(models)) for models in (bare, store)]
        gateway = start("gateway", *(f"--decoder={each.address}" for each in decoders))
        data = stream(label(store, "bend"))
        with Client(gateway.address) as client:
            for _ in range(3):
                assert asked(client, data) == here(store, data)
        assert gateway.metric('cmvc_segments_redriven_total{reason="missing"}') == 0


def test_one_for_another_revision_is_refused(client, store):
    with pytest.raises(AdapterMismatchError, match="revision 0, served here"):
        asked(client, stream(label(store, "stale")))


def test_the_embedded_profile_takes_none():
    config = encode_config(mode="tt2v", profile="embedded", adapter="bend@3031323334353637")
    with pytest.raises(InvalidSettingError, match="takes no adapter"):
        list(encode(io.BytesIO(clip()), config, Control()))


def test_with_another_profile_the_stream_decodes_without_its_adapter(client):
    config = decoder_pb2.DecodeConfig(format=CONFIG.format, profile="embedded")
    assert b"".join(client.decode_stream([stream("absent@3031323334353637")], config))
