"""What runs each profile. A new one is one file and one line here; its facts are in ``cmvc.profiles``."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from cmvc.errors import MissingServiceError
from cmvc.profiles.registry import profile_of
from cmvc_decoder.generator import Generator
from cmvc_decoder.generators.embedded import EmbeddedGenerator
from cmvc_decoder.speed.options import SpeedOptions

IMPLEMENTATIONS = {  # ``module:Class`` of each ``DiffusionProfile``
    "wan-vace-1.3b": "wan_vace:WanVace",
    "ltx-video": "ltx_video:LtxVideo",
    "animatediff": "animatediff:AnimateDiff",
    "videocrafter2": "videocrafter2:VideoCrafter2",
    "swiftvr": "swiftvr:SwiftVr",
}


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
    profile_of(profile_id)
    if profile_id not in IMPLEMENTATIONS:
        return EmbeddedGenerator()
    module, _, name = IMPLEMENTATIONS[profile_id].partition(":")
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
