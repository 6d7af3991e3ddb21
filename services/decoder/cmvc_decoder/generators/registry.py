"""The profiles that this decoder serves."""

from cmvc.errors import UnknownProfileError
from cmvc_decoder.generators.base import Generator
from cmvc_decoder.generators.embedded import EmbeddedGenerator

_GENERATORS: dict[str, type[Generator]] = {
    EmbeddedGenerator.id: EmbeddedGenerator,
}


def profile_ids() -> tuple[str, ...]:
    """Return the registered names."""
    return tuple(_GENERATORS)


def make_generator(profile_id: str) -> Generator:
    """Return a generator of that profile.

    Raises:
        UnknownProfileError: it is not served here.
    """
    try:
        return _GENERATORS[profile_id]()
    except KeyError:
        served = ", ".join(profile_ids())
        raise UnknownProfileError(
            f"the profile '{profile_id}' is not served here; served: {served}; choose one with --profile"
        ) from None
