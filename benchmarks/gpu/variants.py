"""The served path, one speed feature more at a time."""

from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.gpu.work import PROMPT, Work
from cmvc.errors import InvalidSettingError
from cmvc_decoder.diffusion.fast_vae import FastDecoder
from cmvc_decoder.diffusion.profile import DiffusionProfile, Window
from cmvc_decoder.diffusion.settings import FAST, Settings
from cmvc_decoder.generators.animatediff import AnimateDiff, Denoisers
from cmvc_decoder.generators.ltx_video import LtxVideo
from cmvc_decoder.generators.swiftvr import SwiftVr
from cmvc_decoder.generators.videocrafter2 import VideoCrafter2
from cmvc_decoder.generators.wan_vace import WanVace
from cmvc_decoder.speed.apply import apply_speed
from cmvc_decoder.speed.options import SpeedOptions

PROFILES: dict[str, DiffusionProfile] = {
    profile.facts.id: profile for profile in (WanVace(), LtxVideo(), AnimateDiff(), VideoCrafter2(), SwiftVr())
}
SAME, SKIPPED, FEWER, OTHER = "same steps", "steps skipped", "FEWER STEPS", "OTHER DECODER"
_ALWAYS = 1e9  # a threshold that every step is under
_OWN = ("transformer", "unet", "vae")  # models that features change in place


@dataclass(frozen=True)
class Variant:
    """One way of making the same work.

    Attributes:
        name: for the table.
        kind: whether it takes the same steps as the stock pipeline.
        run: makes the videos in so many steps.
        models: that it uses, to tell its memory from that of others.
        settings: steps and guidance that it is meant to use.
        served: whether it is ours.
    """

    name: str
    kind: str
    run: Callable[[Work, int], Any]
    models: Sequence[Any]
    settings: Settings
    served: bool = True


@dataclass(frozen=True)
class Feature:
    """What one more line of the table switches on."""

    name: str
    speed: dict[str, Any]


def features(attention: str) -> dict[str, Feature]:
    """Return what can be switched on in place of nothing, in order."""
    return {
        "served": Feature("served, nothing switched on", {}),
        "vae": Feature("+ VAE in bfloat16", {"vae_dtype": "bfloat16"}),
        "attention": Feature(f"+ attention {attention}", {"attention": attention}),
        "compile": Feature("+ regional compile", {"compile": "regional"}),
    }


@dataclass(frozen=True)
class Wanted:
    """Which lines the table is to have.

    Attributes:
        switches: speed features by name, in order.
        cache: whether to show the step cache.
        few_steps: whether to show few steps.
        fast_vae: whether to show the fast decoder of latents.
        beside: whether to show, at the last batch, what it gives that the VAE decodes beside the next run.
    """

    switches: dict[str, Feature]
    cache: bool
    few_steps: bool
    fast_vae: bool
    beside: bool


SETTINGS = tuple(each.name.replace("_", "-") for each in fields(Wanted) if each.name != "switches")
"""Names of what else the table can have, in the order of ``Wanted``."""


def ladder(
    profile_id: str, loaded: Any, work: Work, speed: SpeedOptions, wanted: Wanted
) -> tuple[list[Variant], Any, list[str]]:
    """Return variants of the served path, each with one feature more, the last one's models, and what was left out.

    Args:
        profile_id: registered name.
        loaded: what ``random_pipeline`` returned; left as it is.
        work: to be made.
        speed: device and dtype.
        wanted: lines of the table.
    """
    variants: list[Variant] = []
    notes: list[str] = []
    pipe, profile = loaded, PROFILES[profile_id]
    for name, feature in wanted.switches.items():
        more = replace(speed, **feature.speed)
        if name == "vae" and profile_id != WanVace.facts.id:
            notes.append(f"{profile_id}, {feature.name}: left out, all of it is in {speed.dtype} already")
            continue
        try:
            pipe = _own(loaded, more)
        except InvalidSettingError as error:
            notes.append(f"{profile_id}, {feature.name}: left out, {error}")
            continue
        speed = more
        variants.append(_variant(feature.name, SAME, profile, pipe, work.settings))
    if wanted.cache and profile_id in {WanVace.facts.id, LtxVideo.facts.id}:
        cached = replace(work.settings, cache=_ALWAYS)
        name = "+ step cache, all steps but the first skipped (a bound: random weights say nothing of real hits)"
        variants.append(_variant(name, SKIPPED, profile, pipe, cached))
    if wanted.few_steps and work.few:
        variants.append(
            _variant(
                f"+ few steps ({work.few.few_steps or work.few.sampler}), no cache", FEWER, profile, pipe, work.few
            )
        )
    if wanted.fast_vae and profile.facts.has_fast_vae:
        variants.append(_with_fast_vae(profile, pipe, work.settings, speed))
    return variants, pipe, notes


def networks(loaded: Any) -> list[Any]:
    """Return the models of what a profile's ``load`` returns."""
    pipes = [loaded.full, loaded.lcm] if isinstance(loaded, Denoisers) else [loaded]
    return [part for pipe in pipes for part in pipe.components.values() if isinstance(part, torch.nn.Module)]


def windows(work: Work) -> list[Window]:
    """Return a window for each video."""
    shape, guide = (work.frames, work.width, work.height, work.frame_rate), work.guide()
    noises = [torch.Generator().manual_seed(number) for number in range(work.videos)]
    return [Window(PROMPT, *shape, noise, guide=guide) for noise in noises]


def _own(loaded: Any, speed: SpeedOptions) -> Any:
    """Return a copy with those features; models that no feature changes are shared."""
    if isinstance(loaded, Denoisers):
        return Denoisers(_own(loaded.full, speed), _own(loaded.lcm, speed), loaded.folder)
    parts = dict(loaded.components)
    parts |= {name: deepcopy(parts[name]) for name in _OWN if parts.get(name) is not None}
    pipe = type(loaded)(**parts)
    pipe.set_progress_bar_config(disable=True)
    apply_speed(pipe, speed)
    return pipe


def _with_fast_vae(profile: DiffusionProfile, pipe: Any, settings: Settings, speed: SpeedOptions) -> Variant:
    decoder = FastDecoder().eval().to(speed.device, getattr(torch, speed.dtype))
    fast = copy(pipe)  # shares the models
    fast.fast_vae = SimpleNamespace(load=lambda: decoder)
    made = _variant("+ fast VAE, no cache, all steps", OTHER, profile, fast, replace(settings, vae=FAST))
    return replace(made, models=[*made.models, decoder])


def _variant(name: str, kind: str, profile: DiffusionProfile, pipe: Any, settings: Settings) -> Variant:
    def run(work: Work, steps: int) -> None:
        profile.run(pipe, windows(work), replace(settings, steps=steps), lambda *_: None)

    return Variant(name, kind, run, networks(pipe), settings)
