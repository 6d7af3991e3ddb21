"""Semantic extractors, one file each, by their registered names."""

from cmvc.errors import UnknownExtractorError
from cmvc_encoder.semantics.base import SemanticExtractor
from cmvc_encoder.semantics.embedded import EmbeddedExtractor

_EXTRACTORS: dict[str, type[SemanticExtractor]] = {
    EmbeddedExtractor.id: EmbeddedExtractor,
}


def extractor_names() -> tuple[str, ...]:
    """Return the registered names."""
    return tuple(_EXTRACTORS)


def make_extractor(name: str) -> SemanticExtractor:
    """Return a new extractor of that name.

    Raises:
        UnknownExtractorError: it is not installed here.
    """
    try:
        return _EXTRACTORS[name]()
    except KeyError:
        raise UnknownExtractorError(
            f"the semantic extractor '{name}' is not installed here; choose one of: {', '.join(_EXTRACTORS)}"
        ) from None
