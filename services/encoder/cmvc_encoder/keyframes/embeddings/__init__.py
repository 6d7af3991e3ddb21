"""Embeddings of pictures, one file each, by their registered names."""

from importlib import import_module
from importlib.util import find_spec

from cmvc.errors import MissingServiceError, UnknownEmbeddingError
from cmvc_encoder.extra import INSTALL, LIBRARIES
from cmvc_encoder.keyframes.embeddings.base import Embedder
from cmvc_encoder.keyframes.embeddings.embedded import EmbeddedEmbedder
from cmvc_encoder.keyframes.embeddings.model import read_model_settings
from cmvc_encoder.options import EncoderOptions

_WITH_WEIGHTS = {"clip": "clip:ClipEmbedder", "siglip": "siglip:SiglipEmbedder"}  # name: module and class


def embedding_names() -> tuple[str, ...]:
    """Return the registered names whose libraries are installed."""
    installed = all(find_spec(library) for library in LIBRARIES)
    return (EmbeddedEmbedder.id, *(_WITH_WEIGHTS if installed else ()))


def make_embedder(name: str, options: EncoderOptions) -> Embedder:
    """Return a new embedder of that name. Its weights are loaded when it first works.

    Args:
        name: registered name.
        options: which model an embedding with weights runs, and where.

    Raises:
        UnknownEmbeddingError: there is none of that name.
        MissingServiceError: the libraries that it needs are not installed.
        InvalidSettingError: ``options`` are not valid.
    """
    if name == EmbeddedEmbedder.id:
        return EmbeddedEmbedder()
    if name not in _WITH_WEIGHTS:
        known = ", ".join((EmbeddedEmbedder.id, *_WITH_WEIGHTS))
        raise UnknownEmbeddingError(
            f"there is no embedding '{name}'; choose one of: {known}", field="config.keyframes.embedding"
        )
    module, _, cls = _WITH_WEIGHTS[name].partition(":")
    try:
        made = getattr(import_module(f"{__name__}.{module}"), cls)
    except ModuleNotFoundError as missing:
        raise MissingServiceError(
            f"the embedding {name} needs {missing.name}, which is not installed; in a checkout run: {INSTALL}"
        ) from None
    embedder: Embedder = made(read_model_settings(options))
    return embedder
