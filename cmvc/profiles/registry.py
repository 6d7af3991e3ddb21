"""The profiles that there are. A new one is one file and one line here."""

from cmvc.errors import UnknownProfileError
from cmvc.profiles import animatediff, embedded, ltx_video, swiftvr, videocrafter2, wan_vace
from cmvc.profiles.profile import ModelProfile, Profile

_MODEL_PROFILES = (wan_vace.PROFILE, ltx_video.PROFILE, animatediff.PROFILE, videocrafter2.PROFILE, swiftvr.PROFILE)
MODEL_PROFILES: dict[str, ModelProfile] = {each.id: each for each in _MODEL_PROFILES}
PROFILES: dict[str, Profile] = {embedded.PROFILE.id: embedded.PROFILE, **MODEL_PROFILES}


def profile_of(profile_id: str) -> Profile:
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


def model_profile(profile_id: str) -> ModelProfile:
    """Return what is known of a profile that needs weights.

    Raises:
        UnknownProfileError: it is not known, or needs no weights.
    """
    try:
        return MODEL_PROFILES[profile_id]
    except KeyError:
        raise UnknownProfileError(
            f"there are no models for '{profile_id}'; profiles with models: {', '.join(MODEL_PROFILES)}"
        ) from None
