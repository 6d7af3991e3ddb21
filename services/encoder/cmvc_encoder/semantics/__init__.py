"""Semantic extractors by their registered names. A new model behind one is one file and one line in ``_MODELS``."""

from collections.abc import Callable
from dataclasses import dataclass

from cmvc.control import Control
from cmvc.errors import InvalidSettingError, UnknownExtractorError
from cmvc.observer import Observer
from cmvc.settings import parse_settings
from cmvc_encoder.options import EncoderOptions
from cmvc_encoder.semantics.base import SemanticExtractor
from cmvc_encoder.semantics.by_mllm import MllmExtractor
from cmvc_encoder.semantics.embedded import EmbeddedExtractor
from cmvc_encoder.semantics.fallback import DEFAULT_PATIENCE_S, FallbackExtractor
from cmvc_encoder.semantics.mllm import Mllm
from cmvc_encoder.semantics.openai import SETTINGS as OPENAI_SETTINGS
from cmvc_encoder.semantics.openai import OpenAiMllm
from cmvc_encoder.semantics.transformers import SETTINGS as TRANSFORMERS_SETTINGS
from cmvc_encoder.semantics.transformers import TransformersMllm

_PATIENCE = "patience_s"


@dataclass(frozen=True)
class _Model:
    """A way to run a multimodal LLM.

    Attributes:
        make: returns it; raises where it is not installed or the options do not do.
        needs: the option without which there is nothing to ask, as the command line calls it.
        is_set: whether it was given.
        settings: names of the settings that it reads.
    """

    make: Callable[[EncoderOptions, dict[str, str]], Mllm]
    needs: str
    is_set: Callable[[EncoderOptions], bool]
    settings: tuple[str, ...]


_MODELS: dict[str, _Model] = {
    "transformers": _Model(
        lambda options, settings: TransformersMllm(options.model, settings),
        "--model",
        lambda options: bool(options.model),
        tuple(TRANSFORMERS_SETTINGS),
    ),
    "openai": _Model(
        lambda options, settings: OpenAiMllm(options.endpoint, options.model, options.key_file, settings),
        "--endpoint and --model",
        lambda options: bool(options.endpoint and options.model),
        tuple(OPENAI_SETTINGS),
    ),
}


def extractor_names(options: EncoderOptions) -> tuple[str, ...]:
    """Return the names of the extractors that ``options`` have set up."""
    return (EmbeddedExtractor.id, *(name for name, model in _MODELS.items() if model.is_set(options)))


def make_extractor(
    name: str, options: EncoderOptions, *, strict: bool, control: Control, observer: Observer
) -> SemanticExtractor:
    """Return an extractor for one stream.

    Args:
        name: registered name.
        options: which model, and how it runs.
        strict: whether a failing model ends the stream instead of being replaced by ``embedded``.
        control: of the stream.
        observer: is told of windows that ``embedded`` described instead.

    Raises:
        UnknownExtractorError: there is none of that name, or it was not set up.
        InvalidSettingError: a setting is unknown or out of range.
        MissingServiceError: libraries that it needs are not installed.
    """
    settings = read_settings(options)
    check_extractor(name, options)
    if name == EmbeddedExtractor.id:
        return EmbeddedExtractor()
    model = _MODELS[name]
    patience = _seconds(settings.pop(_PATIENCE, str(DEFAULT_PATIENCE_S)))
    mllm = model.make(options, {each: value for each, value in settings.items() if each in model.settings})
    return FallbackExtractor(MllmExtractor(name, mllm), control, observer, patience_s=patience, strict=strict)


def check_extractor(name: str, options: EncoderOptions) -> None:
    """Return if there is an extractor of that name, and ``options`` have set it up.

    Raises:
        UnknownExtractorError: there is none, or it was not set up.
    """
    model = _MODELS.get(name)
    if name == EmbeddedExtractor.id:
        return
    if model is None or not model.is_set(options):
        how = f"; give it {model.needs}" if model else ""
        raise UnknownExtractorError(
            f"the semantic extractor '{name}' is not set up here{how}; set up: {', '.join(extractor_names(options))}",
            field="config.semantics",
        )


def read_settings(options: EncoderOptions) -> dict[str, str]:
    """Return the settings of all extractors and embeddings.

    Raises:
        InvalidSettingError: none of them knows one.
    """
    settings = parse_settings(options.semantics)
    known = sorted({_PATIENCE, *(name for model in _MODELS.values() for name in model.settings)})
    for name in settings:
        if name not in known:
            raise InvalidSettingError(f"semantics have no setting '{name}'; known: {', '.join(known)}")
    return settings


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 1e6:
        raise InvalidSettingError(f"{_PATIENCE}={text[:40]} is no number of seconds; write such as {_PATIENCE}=30")
    return seconds
