"""The ``embedded`` profile: every mode on a CPU without weights to download; an honest preview and the test bed."""

from collections.abc import Iterator

from cmvc.bitstream.modes import Mode
from cmvc.control import Control
from cmvc.errors import InvalidSettingError
from cmvc.media.picture import Picture
from cmvc.profiles.embedded import PROFILE
from cmvc.v1 import common_pb2
from cmvc_decoder.generator import Conditions
from cmvc_decoder.generators.embedded import it2v, tt2v, vt2v
from cmvc_decoder.upscale import upscale

_BY_MODE = {
    common_pb2.MODE_TT2V: tt2v.render,
    common_pb2.MODE_IT2V: it2v.interpolate,
    common_pb2.MODE_VT2V: vt2v.restore,
    common_pb2.MODE_CODED: upscale,
}


class EmbeddedGenerator:
    """Renders text, warps between anchors, and scales videos up; restores those of VT2V."""

    id = PROFILE.id
    revision = PROFILE.revision
    modes: tuple[Mode.ValueType, ...] = PROFILE.modes

    def load(self) -> None:
        """Do nothing: the restorer is loaded when a stream asks for it."""

    def generate(self, conditions: Conditions, control: Control) -> Iterator[Picture]:
        """Yield the frames of one segment; see ``Generator``."""
        if conditions.wants_adapter:
            raise InvalidSettingError(
                f"the profile {self.id} has no model that an adapter could change; leave the adapter out, or name "
                "another --profile"
            )
        return _BY_MODE[conditions.mode](conditions, control)
