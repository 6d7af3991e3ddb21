"""Settings that shape frames. They travel in the stream's profile table, so that every decoder makes the same."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

from cmvc.errors import InvalidSettingError
from cmvc.profiles.continuity import OFF, SETTING, TAIL

MOST_STEPS = 200
MOST_GUIDANCE = 50.0
MOST_PIXELS = 1920 * 1088
MOST_SHIFT = 20.0
BLENDED = "blended"
FAST = "fast"


@dataclass(frozen=True)
class Settings:
    """How to denoise.

    Attributes:
        steps: denoising steps.
        guidance: classifier-free guidance scale; 1 turns it off.
        few_steps: name of the few-step adapter or schedule of the profile; "" for the full schedule.
        cache: threshold of the step cache (see ``cmvc_decoder.speed.step_cache``); 0 turns it off.
        pixels: of a native frame; 0 for the profile's own.
        strength: how closely a VT2V guide or an anchor is kept to, 0..2; 1 as trained.
        anchors: ``exact`` to show decoded anchors as they are, ``blended`` to show the model's frames there, moved
            towards them (see ``cmvc_decoder.diffusion.blend``).
        sampler: one of the profile's, by name; "" for its own.
        shift: of the sampler's times towards noise, 0 for the sampler's own.
        vae: ``own``, or ``fast`` for the profile's fast decoder of latents, where there is one.
        continuity: ``tail`` where TT2V segments go on from those before them (see ``cmvc.profiles.continuity``).
    """

    steps: int
    guidance: float
    few_steps: str = ""
    cache: float = 0.0
    pixels: int = 0
    strength: float = 1.0
    anchors: str = "exact"
    vae: str = "own"
    continuity: str = OFF
    sampler: str = ""
    shift: float = 0.0


NO_CHOICE: Mapping[str, Settings] = MappingProxyType({})  # of samplers
_BOUNDS = {
    "steps": (1, MOST_STEPS),
    "guidance": (0, MOST_GUIDANCE),
    "cache": (0, 1),
    "pixels": (0, MOST_PIXELS),
    "strength": (0, 2),
    "shift": (0, MOST_SHIFT),
}

_CHOICES = {"anchors": ("exact", BLENDED), "vae": ("own", FAST), SETTING: (OFF, TAIL)}


def read_settings(
    texts: Mapping[str, str], defaults: Settings, samplers: Mapping[str, Settings] = NO_CHOICE
) -> Settings:
    """Return ``defaults`` with what the profile table of a stream says instead.

    Args:
        texts: what it says.
        defaults: of the profile.
        samplers: defaults of each sampler that the profile can be told to use.

    Raises:
        InvalidSettingError: a name is not known, or a value is no number or out of range.
    """
    if (name := texts.get("sampler", "")) or "shift" in texts:
        defaults = _of_sampler(name, defaults, samplers)
    kinds = {each.name: type(getattr(defaults, each.name)) for each in fields(Settings)}
    values: dict[str, object] = {}
    for name, text in texts.items():
        if name not in kinds:
            raise InvalidSettingError(f"the setting '{name}' is not known; known: {', '.join(kinds)}")
        if name in _CHOICES and text not in _CHOICES[name]:
            raise InvalidSettingError(f"{name}={text} is not known; choose one of {', '.join(_CHOICES[name])}")
        values[name] = _number(name, text, kinds[name]) if name in _BOUNDS else text
    return replace(defaults, **values)  # type: ignore[arg-type]


def _of_sampler(name: str, defaults: Settings, samplers: Mapping[str, Settings]) -> Settings:
    if not samplers:
        raise InvalidSettingError("the profile has no choice of samplers; leave sampler and shift out")
    if name and name not in samplers:
        raise InvalidSettingError(f"sampler={name} is not known; choose one of {', '.join(samplers)}")
    return samplers[name] if name else defaults


def refuse_few_steps(settings: Settings, profile_id: str) -> None:
    """Make sure that nothing is asked of a profile that has neither few-step adapter nor schedule.

    Raises:
        InvalidSettingError: few steps are asked for.
    """
    if settings.few_steps:
        raise InvalidSettingError(f"few_steps={settings.few_steps} is not known to {profile_id}; leave it out")


def refuse_cache(settings: Settings, profile_id: str) -> None:
    """Make sure that nothing is asked of a profile that has no step cache.

    Raises:
        InvalidSettingError: it is asked for.
    """
    if settings.cache:
        raise InvalidSettingError(f"{profile_id} has no step cache; leave cache={settings.cache} out")


def _number(name: str, text: str, kind: type) -> object:
    low, high = _BOUNDS[name]
    try:
        value = kind(text)
    except ValueError:
        raise InvalidSettingError(f"the setting {name}={text} is not a number") from None
    if not low <= value <= high:
        raise InvalidSettingError(f"the setting {name}={text} is not within {low}..{high}")
    return value
