"""``embedded``: every mode on a CPU without weights."""

from cmvc.bitstream.modes import MODE_NAMES
from cmvc.profiles.profile import Profile

PROFILE = Profile(id="embedded", revision="1", modes=tuple(MODE_NAMES))
