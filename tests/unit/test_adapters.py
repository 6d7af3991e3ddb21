"""Adapters (LoRA): what is on disk, what a stream asks for, and what a denoiser is made of while it runs with one."""

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")
pytest.importorskip("peft", reason="adapters need peft")

import tiny_models
import torch
from adapter_files import make_adapter, save_lora
from click.testing import CliRunner
from diffusers import WanVACETransformer3DModel
from diffusers.hooks import HookRegistry, apply_group_offloading
from safetensors.torch import load_file, save_file
from together import together

from cmvc.bitstream.inspect import _profile
from cmvc.cli import cli
from cmvc.control import Control
from cmvc.errors import AdapterMismatchError, CorruptStreamError, InvalidSettingError, MissingWeightsError
from cmvc.limits import DEFAULT_LIMITS as LIMITS
from cmvc.media.picture import Picture
from cmvc.profiles.wan_vace import PROFILE as WAN
from cmvc.settings import encode_config, parse_adapter
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import common_pb2, decoder_pb2
from cmvc_decoder.conditions import read_conditions
from cmvc_decoder.diffusion.adapting import MOST_LOADED, Adapters
from cmvc_decoder.generator import Conditions, Step
from cmvc_decoder.generators.embedded import EmbeddedGenerator
from cmvc_decoder.generators.registry import make_generator
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.weights.adapters import (
    FOLDER,
    RECORD,
    WEIGHTS,
    find_adapter,
    install,
    installed,
    read_adapter,
    verify_adapter,
    write_adapter,
)
from cmvc_encoder.profile_table import profile_table

TOY = Path(__file__).parents[1] / "toy_vace" / "weights"
PROFILE, REVISION = "wan-vace-1.3b", WAN.revision
SETTINGS = {"steps": "2", "guidance": "1", "pixels": "4096"}
TINY = {"ltx-video": ("transformer", ["to_q", "to_v"]), "animatediff": ("unet", ["to_q", "to_v"])}


def denoiser():
    return WanVACETransformer3DModel.from_pretrained(TOY / "transformer", torch_dtype=torch.float32)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Return a model store with the toy checkpoint and the adapters ``bend`` and ``other``."""
    root = tmp_path_factory.mktemp("store")
    (root / PROFILE).mkdir()
    (root / PROFILE / "pipeline").symlink_to(TOY)
    for seed, name in enumerate(("bend", "other")):
        make_adapter(denoiser(), root / PROFILE / FOLDER / name, seed=seed)
    return root


@pytest.fixture(scope="module")
def generator(root):
    return make_generator(PROFILE, root, SpeedOptions())


@pytest.fixture
def folder(root, tmp_path) -> Path:
    """Return a copy of ``bend`` in a profile folder of its own."""
    source, copy = root / PROFILE / FOLDER / "bend", tmp_path / PROFILE / FOLDER / "bend"
    copy.mkdir(parents=True)
    for name in (WEIGHTS, RECORD):
        (copy / name).write_bytes((source / name).read_bytes())
    return copy


def asked(**changes):
    made = Conditions(common_pb2.MODE_TT2V, 64, 64, 5, Fraction(16), 7, text="a red ball", settings=SETTINGS)
    return replace(made, **changes)


def frames(generator, **changes):
    items = generator.generate(asked(**changes), Control())
    return np.stack([item.y for item in items if not isinstance(item, Step)])


def rewrite(folder, **changes):
    record = json.loads((folder / RECORD).read_text())
    (folder / RECORD).write_text(json.dumps({**record, **changes}))


# On disk


def test_a_record_says_what_the_file_is(folder):
    adapter = read_adapter(folder)
    digest = sha256((folder / WEIGHTS).read_bytes())
    assert (adapter.name, adapter.rank, adapter.alpha, adapter.kind) == ("bend", 4, 8.0, "interpolation")
    assert adapter.short == digest.digest()[:8]
    assert adapter.label == f"bend@{digest.hexdigest()[:16]}"
    assert parse_adapter(adapter.label) == ("bend", adapter.short)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../bend"},
        {"name": "other"},
        {"profile": "a/b"},
        {"sha256": "00"},
        {"rank": "4"},
        {"rank": 0},
        {"rank": True},
        {"alpha": float("nan")},
        {"steps": -1},
        {"kind": "style"},
        {"base": "x" * 300},
        {"base": "a\nb"},
        {"more": 1},
    ],
)
def test_a_record_that_is_none_is_refused(folder, changes):
    rewrite(folder, **changes)
    with pytest.raises(MissingWeightsError, match=RECORD.replace(".", r"\.")):
        read_adapter(folder)


@pytest.mark.parametrize("text", [b"", b"[", b"null", b"[]", b"\xff", b"[" * 60_000, b" " * 70_000])
def test_a_record_that_is_no_json_object_is_refused(folder, text):
    (folder / RECORD).write_bytes(text)
    with pytest.raises(MissingWeightsError, match="does not describe an adapter"):
        read_adapter(folder)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "A", ".a", "a" * 65, "a\n"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(InvalidSettingError, match="no name of an adapter"):
        find_adapter(tmp_path / PROFILE, REVISION, name or "-", b"")
    with pytest.raises(InvalidSettingError, match="NAME@HASH"):
        parse_adapter(f"{name}@0123456789abcdef")


@pytest.mark.parametrize("text", ["bend", "bend@", "bend@0123", "bend@0123456789abcdeg", "bend@0123456789abcdef0"])
def test_an_adapter_on_the_command_line_has_16_hex_digits(text):
    with pytest.raises(InvalidSettingError, match="16 hex digits"):
        parse_adapter(text)


def test_weights_that_changed_are_not_what_the_record_says(folder):
    adapter, path = read_adapter(folder), folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(AdapterMismatchError, match=adapter.sha256[:16]):
        verify_adapter(folder, adapter)


def test_alpha_is_that_of_the_file_which_the_hash_covers(folder):
    rewrite(folder, alpha=16)
    with pytest.raises(AdapterMismatchError, match="alpha 8, but"):
        verify_adapter(folder, read_adapter(folder))


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"transformer.x.lora_A.weight": (4, 8)}, "lora_B"),
        ({"transformer.x.lora_A.weight": (4,), "transformer.x.lora_B.weight": (8,)}, "no adapter"),
        ({"transformer.x.lora_A.weight": (4, 8), "transformer.x.lora_B.weight": (8, 2)}, "one rank"),
        ({"transformer.x.lora_magnitude_vector": (4,)}, "lora_magnitude_vector"),
        ({"x.lora_A.weight": (4, 8), "x.lora_B.weight": (8, 4)}, "PART.MODULE"),
    ],
)
def test_weights_of_another_form_are_refused(tmp_path, tensors, reason):
    save_file({name: torch.zeros(shape) for name, shape in tensors.items()}, tmp_path / WEIGHTS)
    with pytest.raises(MissingWeightsError, match=reason):
        write_adapter(tmp_path, profile=PROFILE, revision=REVISION, steps=1, base="toy")


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\2\0\0\0\0\0\0\0[]", b"\2\0\0\0\0\0\0\0{}"])
def test_weights_that_are_no_safetensors_are_refused(tmp_path, content):
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(MissingWeightsError, match="no adapter that can be used"):
        write_adapter(tmp_path, profile=PROFILE, revision=REVISION, steps=1, base="toy")


def test_weights_that_are_cut_off_are_refused(folder):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(MissingWeightsError, match="cut off"):
        write_adapter(folder, profile=PROFILE, revision=REVISION, steps=1, base="toy")


def test_install_copies_what_is_whole_in_place_of_its_namesake(folder, tmp_path):
    store = tmp_path / "store"
    first = install(folder, store)
    assert installed(store / PROFILE) == [first]
    tensors = {name: tensor + 1 for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS)
    with pytest.raises(AdapterMismatchError):
        install(folder, store)
    assert installed(store / PROFILE) == [first]
    second = write_adapter(folder, profile=PROFILE, revision=REVISION, steps=1, base="toy")
    install(folder, store)
    assert installed(store / PROFILE) == [second] != [first]
    assert [path.name for path in (store / PROFILE / FOLDER).iterdir()] == ["bend"]


# What a stream asks for


def test_it_is_found_by_name_by_hash_and_by_both(root):
    adapter = read_adapter(root / PROFILE / FOLDER / "bend")
    for name, short in (("bend", adapter.short), ("bend", b""), ("", adapter.short)):
        assert find_adapter(root / PROFILE, REVISION, name, short) == adapter


@pytest.mark.parametrize(("name", "short"), [("absent", b""), ("absent", b"01234567"), ("", b"01234567")])
def test_one_that_is_not_installed_is_missed_with_what_to_do(root, name, short):
    with pytest.raises(MissingWeightsError, match=r"is not installed; installed: bend@.*cmvc models install FOLDER"):
        find_adapter(root / PROFILE, REVISION, name, short)


def test_another_hash_is_a_mismatch_that_names_both(root):
    here = read_adapter(root / PROFILE / FOLDER / "bend").short.hex()
    with pytest.raises(AdapterMismatchError, match=f"3031323334353637.*{here}.*install"):
        find_adapter(root / PROFILE, REVISION, "bend", b"01234567")


@pytest.mark.parametrize("changes", [{"profile": "ltx-video"}, {"revision": "1"}])
def test_one_for_another_profile_or_revision_is_refused(folder, changes):
    rewrite(folder, **changes)
    with pytest.raises(AdapterMismatchError, match=r"served here is wan-vace-1\.3b revision 2"):
        find_adapter(folder.parents[1], REVISION, "bend", b"")


def test_a_damaged_neighbour_does_not_matter(folder):
    (folder.parent / "broken").mkdir()
    adapter = read_adapter(folder)
    assert find_adapter(folder.parents[1], REVISION, "", adapter.short) == adapter


def request(**profile):
    header = pb.StreamHeader(width=64, height=64, frame_rate_numerator=16, frame_rate_denominator=1, segment_frames=5)
    segment = pb.Segment(text=b"")
    return decoder_pb2.DecodeSegmentRequest(header=header, profile=pb.Profile(id=PROFILE, **profile), segment=segment)


def test_conditions_have_the_adapter_apart_from_the_settings():
    made = read_conditions(request(adapter_sha256=b"01234567", settings={"adapter": "bend", "steps": "2"}), LIMITS)
    assert (made.adapter, made.adapter_sha256, made.settings) == ("bend", b"01234567", {"steps": "2"})
    with pytest.raises(CorruptStreamError, match="3 bytes"):
        read_conditions(request(adapter_sha256=b"012"), LIMITS)


def test_encode_puts_it_into_the_profile_table():
    config = encode_config(profile=PROFILE, settings={"steps": "2"}, adapter="bend@3031323334353637")
    (profile,) = profile_table(config.profile).profiles
    assert profile == pb.Profile(id=PROFILE, adapter_sha256=b"01234567", settings={"steps": "2", "adapter": "bend"})
    shown = _profile(profile)
    assert (shown["adapter"], shown["adapter_sha256"]) == ("bend", "3031323334353637")


@pytest.mark.parametrize(
    "profile",
    [
        pb.Profile(id=PROFILE, adapter_sha256=b"0"),
        pb.Profile(id=PROFILE, settings={"adapter": "../x"}),
        pb.Profile(id=PROFILE, settings={"adapter": ""}),
        pb.Profile(adapter_sha256=b"01234567"),
        pb.Profile(id="embedded", adapter_sha256=b"01234567"),
        pb.Profile(id="embedded", settings={"adapter": "bend"}),
    ],
)
def test_an_adapter_that_cannot_be_is_refused_before_encoding(profile):
    with pytest.raises(InvalidSettingError, match="adapter"):
        profile_table(profile)


def test_an_adapter_needs_a_profile_and_is_named_once():
    with pytest.raises(InvalidSettingError, match="needs a profile"):
        encode_config(adapter="bend@3031323334353637")
    with pytest.raises(InvalidSettingError, match="two adapters"):
        encode_config(profile=PROFILE, adapter="bend@3031323334353637", settings={"adapter": "other"})


# In a denoiser


def test_an_adapter_changes_frames_and_without_one_they_are_as_ever(root, generator):
    never = frames(make_generator(PROFILE, root, SpeedOptions()))
    bent = frames(generator, adapter="bend")
    assert np.abs(bent.astype(int) - never).mean() > 5
    assert np.array_equal(frames(generator), never)
    other = frames(generator, adapter="other")
    assert not np.array_equal(other, bent)
    assert np.array_equal(frames(generator, adapter="bend"), bent)
    assert np.array_equal(frames(generator), never)


def test_alpha_counts(folder, root, generator):
    tensors = load_file(folder / WEIGHTS)
    metadata = {"lora_adapter_metadata": json.dumps({"transformer.r": 4, "transformer.lora_alpha": 0.004})}
    save_file(tensors, folder / WEIGHTS, metadata)
    write_adapter(folder, profile=PROFILE, revision=REVISION, steps=1, base="toy")
    (folder.parents[1] / "pipeline").symlink_to(TOY)
    weak = frames(make_generator(PROFILE, folder.parents[2], SpeedOptions()), adapter="bend")
    assert np.abs(weak.astype(int) - frames(generator)).mean() < 1


def test_segments_with_and_without_one_never_share_a_run(root):
    generator = make_generator(PROFILE, root, SpeedOptions(batch=4))
    names = ["", "bend", "", "other", "bend", "absent"]
    alone = {name: frames(generator, adapter=name) for name in ("", "bend", "other")}
    made = {number: [] for number in range(len(names))}
    for number, item in together(generator, [(asked(adapter=name), Control()) for name in names]):
        made[number] += [] if isinstance(item, Step) else [item]
    assert isinstance(made[5][0], MissingWeightsError)
    for number, name in enumerate(names[:5]):
        shared = np.stack([picture.y for picture in made[number]]).astype(int)
        # Sums of a batch are rounded in another order than those of one segment alone.
        assert np.abs(shared - alone[name]).max() <= 2, name


def test_refusals_come_before_the_model_is_loaded(folder):
    generator = make_generator(PROFILE, folder.parents[2], SpeedOptions())  # the model is not there
    with pytest.raises(MissingWeightsError, match="adapter absent"):
        frames(generator, adapter="absent")
    with pytest.raises(AdapterMismatchError, match="3031323334353637"):
        frames(generator, adapter="bend", adapter_sha256=b"01234567")


def test_a_file_that_changed_since_it_was_installed_is_refused_and_the_rest_works(folder):
    (folder.parents[1] / "pipeline").symlink_to(TOY)
    generator = make_generator(PROFILE, folder.parents[2], SpeedOptions())
    path = folder / WEIGHTS
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\x7f")
    with pytest.raises(AdapterMismatchError, match="has changed since it was installed"):
        frames(generator, adapter="bend")
    plain = frames(generator)
    path.write_bytes(whole)
    bent = frames(generator, adapter="bend")
    assert not np.array_equal(bent, plain)
    path.write_bytes(whole[:-1] + b"\x7f")  # it is verified when it is loaded, and not again
    assert np.array_equal(frames(generator, adapter="bend"), bent)


def test_coded_segments_need_no_adapter(generator):
    picture = Picture(*(np.full(shape, 90, np.uint8) for shape in ((64, 64), (32, 32), (32, 32))))
    made = frames(generator, mode=common_pb2.MODE_CODED, frames=1, guide=[picture], adapter="absent")
    assert np.array_equal(made[0], picture.y)


def test_profiles_without_a_model_to_change_refuse_one(tmp_path):
    with pytest.raises(InvalidSettingError, match="leave the adapter out"):
        next(EmbeddedGenerator().generate(asked(adapter="bend"), Control()))
    with pytest.raises(InvalidSettingError, match="takes no adapter"):
        frames(make_generator("videocrafter2", tmp_path, SpeedOptions()), adapter_sha256=b"01234567")


def test_few_stay_loaded_and_the_least_recently_used_goes(tmp_path):
    model = denoiser()
    state = {name: weight.clone() for name, weight in model.state_dict().items()}
    adapters = Adapters(model, "transformer")
    made = [make_adapter(denoiser(), tmp_path / FOLDER / f"a{n}", seed=n) for n in range(MOST_LOADED + 1)]
    for adapter in (*made[:MOST_LOADED], made[0], made[-1]):
        adapters.use(adapter, tmp_path)
    assert adapters.loaded == MOST_LOADED
    assert model.active_adapters() == [f"sha256-{made[-1].sha256}"]
    left = {f"sha256-{adapter.sha256}" for adapter in made if adapter is not made[1]}
    assert set(model.peft_config) == left
    model.unload_lora()
    after = model.state_dict()
    assert list(after) == list(state)
    assert all(torch.equal(weight, after[name]) for name, weight in state.items())


@pytest.mark.parametrize(
    ("lora", "reason"),
    [({"targets": ["proj_out"]}, "proj_out"), ({"part": "unet"}, "changes the unet")],
)
def test_one_made_for_another_model_does_not_fit(tmp_path, lora, reason):
    other = WanVACETransformer3DModel.from_config(
        {**WanVACETransformer3DModel.load_config(TOY / "transformer"), "out_channels": 32}
    )
    adapter = make_adapter(other, tmp_path / FOLDER / "bend", **lora)
    with pytest.raises(AdapterMismatchError, match=reason):
        Adapters(denoiser(), "transformer").use(adapter, tmp_path)


def test_modules_that_must_keep_float32_do(root):
    model = WanVACETransformer3DModel.from_pretrained(TOY / "transformer", torch_dtype=torch.bfloat16)
    before = {name: weight.dtype for name, weight in model.state_dict().items()}
    assert set(before.values()) == {torch.bfloat16, torch.float32}
    Adapters(model, "transformer").use(read_adapter(root / PROFILE / FOLDER / "bend"), root / PROFILE)
    after = {name.replace(".base_layer", ""): weight.dtype for name, weight in model.state_dict().items()}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("few_steps", ["", "lcm", None])
def test_other_profiles_take_one_too(tmp_path, few_steps):
    profile = "ltx-video" if few_steps is None else "animatediff"
    part, targets = TINY[profile]
    tiny_models.store(tmp_path, profile)
    settings = SETTINGS if few_steps is None else {**SETTINGS, "few_steps": few_steps}
    generator = make_generator(profile, tmp_path, SpeedOptions())
    plain = frames(generator, settings=settings)
    spare = make_generator(profile, tmp_path, SpeedOptions())
    spare.load()
    pipe = spare._pipe
    model = pipe.transformer if few_steps is None else pipe.choose(few_steps).unet
    make_adapter(model, tmp_path / profile / FOLDER / "bend", profile=profile, part=part, targets=targets)
    assert not np.array_equal(frames(generator, settings=settings, adapter="bend"), plain)
    assert np.array_equal(frames(generator, settings=settings), plain)


def test_the_step_cache_works_with_one(root, generator):
    cached = {**SETTINGS, "steps": "4", "cache": "0.5"}
    plain, bent = (frames(generator, settings=cached, adapter=name) for name in ("", "bend"))
    assert not np.array_equal(plain, bent)
    assert np.array_equal(frames(generator, settings=cached), plain)


def offloading(model):
    """Return what offloads the first block of a model."""
    return HookRegistry.check_if_exists_or_initialize(model.blocks[0]).get_hook("group_offloading")


def test_groups_that_were_offloaded_are_so_again_with_one(root):
    plain, offloaded = denoiser(), denoiser()
    place = torch.device("cpu")
    apply_group_offloading(offloaded, onload_device=place, offload_device=place, num_blocks_per_group=1)
    inputs = {
        "hidden_states": torch.ones(1, plain.config.in_channels, 2, 4, 4),
        "timestep": torch.tensor([500]),
        "encoder_hidden_states": torch.ones(1, 3, plain.config.text_dim),
        "control_hidden_states": torch.ones(1, plain.config.vace_in_channels, 2, 4, 4),
    }
    made, before = [], offloading(offloaded)
    assert before is not None
    for model in (plain, offloaded):
        Adapters(model, "transformer").use(read_adapter(root / PROFILE / FOLDER / "bend"), root / PROFILE)
        with torch.inference_mode():
            made.append(model(**inputs).sample)
    assert torch.equal(*made)
    assert offloading(offloaded) not in {None, before}  # made anew, with its weights


@pytest.mark.slow
def test_compiled_blocks_are_compiled_again_once_for_each_and_then_switch(root):
    if shutil.which("c++") is None:
        pytest.skip("compiling for the CPU needs a C++ compiler")
    torch.compiler.reset()
    names = ("", "bend", "", "other", "bend", "")  # more variants than torch allows by itself
    plain, compiled = (make_generator(PROFILE, root, SpeedOptions(compile=each)) for each in ("off", "regional"))
    wanted = {name: frames(plain, adapter=name).astype(int) for name in set(names)}
    for name in names:
        assert np.abs(frames(compiled, adapter=name) - wanted[name]).max() <= 2
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for name in set(names):
        assert np.abs(frames(compiled, adapter=name) - wanted[name]).max() <= 2
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs, "compiled again for a switch"


# On the command line


def run(*arguments):
    return CliRunner().invoke(cli, ["models", *map(str, arguments)])


def test_list_shows_labels_and_what_is_damaged(folder):
    (folder.parent / "broken").mkdir()
    root, label = folder.parents[2], read_adapter(folder).label
    shown = run("list", "--models", root).output
    assert label in shown
    assert "broken" in shown
    described = json.loads(run("list", "--json", "--models", root).output)[PROFILE]["adapters"]
    assert [(each["name"], each["state"], each.get("label")) for each in described] == [
        ("bend", "ready", label),
        ("broken", "damaged", None),
    ]


def test_install_and_verify_on_the_command_line(folder, tmp_path):
    store = tmp_path / "store"
    label = read_adapter(folder).label
    assert label in run("install", folder, "--models", store).output
    assert run("verify", "--models", store).exit_code == 0
    path = store / PROFILE / FOLDER / "bend" / WEIGHTS
    path.write_bytes(path.read_bytes() + b"x")
    done = run("verify", "--models", store)
    assert done.exit_code == 1
    assert "bend" in done.output


def test_saving_needs_no_record_yet(tmp_path):
    folder = save_lora(denoiser(), tmp_path / "bend")
    with pytest.raises(MissingWeightsError, match="no adapter"):
        read_adapter(folder)
