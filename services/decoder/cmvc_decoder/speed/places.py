"""How many segments a decoder takes into work, so that its models are busy."""

from cmvc.profiles.profile import ModelProfile
from cmvc.profiles.registry import PROFILES, profile_of
from cmvc_decoder.options import DecoderOptions
from cmvc_decoder.speed.options import read_speed


def segments_in_work(options: DecoderOptions) -> int:
    """Return how many segments keep every stage of all models busy that a decoder with ``options`` has; 0 without any.

    Wherever they run: a Triton is told the same speed options, or one decoder of it does not fill its runs.

    Raises:
        UnknownProfileError, InvalidSettingError: a name or a speed option is not known.
    """
    models = [each for each in options.profiles or PROFILES if isinstance(profile_of(each), ModelProfile)]
    return len(models) * read_speed(options.speed).in_work
