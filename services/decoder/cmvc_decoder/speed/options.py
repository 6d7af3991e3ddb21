"""Which speed features are on. They change how fast and where frames are made, not what they show."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from cmvc.errors import InvalidSettingError

IN_WORK = 3  # batches of a model: one is denoised, one decoded, and as many segments again are prepared or restored


@dataclass(frozen=True)
class SpeedOptions:
    """What an operator chooses per machine.

    Attributes:
        device: of torch, such as ``cuda`` or ``cpu``; ``auto`` for a GPU where there is one.
        dtype: ``float32``, ``bfloat16`` or ``float16``, of the denoiser and text encoders; ``auto`` for ``bfloat16`` on
            a GPU and ``float32`` elsewhere.
        vae_dtype: likewise, of the VAE; "" for what its authors run it in (Wan's: float32, others: ``dtype``).
        attention: backend of diffusers' dispatcher, such as ``native``, ``_native_cudnn`` or ``flash``; "" as it is.
        compile: ``off``, or ``regional`` to compile the repeated blocks of the denoiser.
        tiling: whether the VAE works in tiles (less memory, a little slower).
        offload: ``none``, or ``group`` to stream layers from host memory while others compute.
        batch: segments of equal shape made in one run, at most.
    """

    device: str = "cpu"
    dtype: str = "float32"
    vae_dtype: str = ""
    attention: str = ""
    compile: str = "off"
    tiling: bool = False
    offload: str = "none"
    batch: int = 1

    @property
    def in_work(self) -> int:
        """Segments that keep every stage of a model busy, at once."""
        return IN_WORK * self.batch


AUTO = "auto"
_CHOICES = {
    "dtype": (AUTO, "float32", "bfloat16", "float16"),
    "vae_dtype": ("float32", "bfloat16", "float16"),
    "compile": ("off", "regional"),
    "offload": ("none", "group"),
}
_SWITCH = {"on": True, "off": False}


def read_speed(texts: Iterable[str]) -> SpeedOptions:
    """Return the options that texts such as ``dtype=bfloat16`` ask for; device and dtype are ``auto`` where not given.

    Raises:
        InvalidSettingError: a name or a value is not known.
    """
    options = SpeedOptions(device=AUTO, dtype=AUTO)
    for text in texts:
        name, _, value = text.partition("=")
        options = replace(options, **{name: _value(name, value)})  # type: ignore[arg-type]
    return options


def _value(name: str, text: str) -> object:
    known = [each.name for each in fields(SpeedOptions)]
    if name not in known:
        raise InvalidSettingError(f"the speed option '{name}' is not known; known: {', '.join(known)}")
    if name in _CHOICES and text not in _CHOICES[name]:
        raise InvalidSettingError(f"{name}={text} is not known; choose one of {', '.join(_CHOICES[name])}")
    if name == "tiling":
        if text not in _SWITCH:
            raise InvalidSettingError(f"tiling={text} is not known; choose on or off")
        return _SWITCH[text]
    if name == "batch":
        if not text.isdecimal() or not 1 <= int(text) <= 64:
            raise InvalidSettingError(f"batch={text} is not within 1..64")
        return int(text)
    return text
