"""VT2V: the decoded video restored, then brought to the full frame rate."""

from collections.abc import Iterator

from cmvc.control import Control
from cmvc.media.fill_frames import fill_frames
from cmvc.media.picture import Picture
from cmvc.restoration.restorer import load_restorer
from cmvc.restoration.settings import OFF, SETTING, checked_restorer
from cmvc_decoder.generator import Conditions
from cmvc_decoder.upscale import filled, upscale


def restore(conditions: Conditions, control: Control) -> Iterator[Picture]:
    """Yield the guide's pictures at the wanted frame rate and size, restored if the profile's settings say so.

    Raises:
        InvalidSettingError: they name a restorer that there is not.
        MissingServiceError: ONNX Runtime is not installed.
    """
    name = checked_restorer(conditions.settings.get(SETTING, OFF))
    return upscale(conditions, control) if name == OFF else _restored(conditions, name, control)


def _restored(conditions: Conditions, name: str, control: Control) -> Iterator[Picture]:
    restorer = load_restorer(name)
    size = conditions.width, conditions.height
    if conditions.follows_motion:  # which is looked for at the coded size
        for picture in restorer.restored(filled(conditions), *size, conditions.quantiser):
            control.check()
            yield picture
        return
    following = conditions.next_guide
    if following is not None:
        following = next(restorer.restored([following], *size, conditions.quantiser))
    pictures = restorer.restored(conditions.guide, *size, conditions.quantiser)
    for picture in fill_frames(pictures, conditions.frame_step, conditions.frames, following):
        control.check()
        yield picture
