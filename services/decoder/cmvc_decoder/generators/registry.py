"""The profiles that there are. A new one is one file and one line here."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from cmvc.bitstream.modes import MODE_NAMES, Mode
from cmvc.errors import MissingServiceError, UnknownProfileError
from cmvc_decoder.generator import Generator
from cmvc_decoder.generators.embedded import EmbeddedGenerator
from cmvc_decoder.speed.options import SpeedOptions

_TT2V, _IT2V, _VT2V, _CODED = MODE_NAMES


@dataclass(frozen=True)
class ProfileFacts:
    """What can be said of a profile without loading it.

    Attributes:
        id: registered name; never changes.
        revision: of the code and weights that it stands for.
        modes: that it decodes.
        implementation: ``module:Class`` of its ``DiffusionProfile``; "" for one that needs no weights.
    """

    id: str
    revision: str
    modes: tuple[Mode.ValueType, ...]
    implementation: str = ""


_PROFILES = (
    ProfileFacts(EmbeddedGenerator.id, EmbeddedGenerator.revision, EmbeddedGenerator.modes),
    ProfileFacts("wan-vace-1.3b", "1", (_TT2V, _IT2V, _VT2V, _CODED), "wan_vace:WanVace"),
    ProfileFacts("ltx-video", "1", (_TT2V, _IT2V, _CODED), "ltx_video:LtxVideo"),
    ProfileFacts("animatediff", "1", (_TT2V, _IT2V, _CODED), "animatediff:AnimateDiff"),
    ProfileFacts("videocrafter2", "1", (_TT2V, _CODED), "videocrafter2:VideoCrafter2"),
)
PROFILES = {facts.id: facts for facts in _PROFILES}


def profile_facts(profile_id: str) -> ProfileFacts:
    """Return what is known of a profile.

    Raises:
        UnknownProfileError: there is none of that name.
    """
    try:
        return PROFILES[profile_id]
    except KeyError:
        raise UnknownProfileError(
            f"there is no profile '{profile_id}'; known: {', '.join(PROFILES)}; choose one with --profile"
        ) from None


def make_generator(profile_id: str, models: Path, speed: SpeedOptions) -> Generator:
    """Return a generator of that profile. Its weights are loaded when it first works, or by ``load``.

    Args:
        profile_id: registered name.
        models: root of the model store.
        speed: where and how fast it runs.

    Raises:
        UnknownProfileError: there is none of that name.
        MissingServiceError: the libraries that it needs are not installed.
    """
    facts = profile_facts(profile_id)
    if not facts.implementation:
        return EmbeddedGenerator()
    module, _, name = facts.implementation.partition(":")
    try:
        generator = import_module("cmvc_decoder.diffusion.generator").DiffusionGenerator
        profile: Callable[[], object] = getattr(import_module(f"cmvc_decoder.generators.{module}"), name)
    except ModuleNotFoundError as missing:
        raise MissingServiceError(
            f"the profile {profile_id} needs {missing.name}, which is not installed; in a checkout run: "
            "pip install -c constraints.txt '.[cli]' './services/decoder[diffusion]'"
        ) from None
    made: Generator = generator(profile(), models / profile_id, speed)
    return made
