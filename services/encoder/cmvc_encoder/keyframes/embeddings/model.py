"""Which model an embedding with weights runs, and where."""

from dataclasses import dataclass, replace

from cmvc.errors import InvalidSettingError
from cmvc_encoder.options import EncoderOptions

AUTO = "auto"
DTYPES = (AUTO, "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class ModelSettings:
    """What an operator chooses.

    Attributes:
        model: folder of the model, or its id as ``ID`` or ``ID@REVISION`` in the local cache; "" for the default.
        device: of torch, such as ``cuda`` or ``cpu``; ``auto`` for a GPU where there is one.
        dtype: ``float32``, ``bfloat16`` or ``float16``; ``auto`` for ``float16`` on a GPU and ``float32`` elsewhere.
    """

    model: str = ""
    device: str = AUTO
    dtype: str = AUTO


def read_model_settings(options: EncoderOptions) -> ModelSettings:
    """Return what the options say of embeddings; names that are not ours are for the extractors to judge.

    Raises:
        InvalidSettingError: the dtype is not known.
    """
    settings = ModelSettings(options.embedding_model)
    for text in options.semantics:
        name, _, value = text.partition("=")
        if name == "device":
            settings = replace(settings, device=value)
        elif name == "dtype":
            if value not in DTYPES:
                raise InvalidSettingError(f"dtype={value} is not known; choose one of {', '.join(DTYPES)}")
            settings = replace(settings, dtype=value)
    return settings
