"""The profiles that can be trained. A new one is one file and one line here."""

from importlib import import_module

from cmvc.errors import InvalidSettingError
from cmvc.profiles.registry import profile_of
from cmvc_decoder.training.task import InterpolationTask

TASKS = {
    "wan-vace-1.3b": "wan_vace:WanVaceTask",
    "ltx-video": "ltx_video:LtxVideoTask",
    "animatediff": "animatediff:AnimateDiffTask",
}
DEFAULT_PROFILE = "wan-vace-1.3b"


def task_of(profile_id: str) -> type[InterpolationTask]:
    """Return how a profile is trained.

    Raises:
        UnknownProfileError: there is no such profile.
        InvalidSettingError: it cannot be trained.
        MissingServiceError: the libraries for it are not installed.
    """
    profile_of(profile_id)
    if profile_id not in TASKS:
        raise InvalidSettingError(
            f"the profile {profile_id} cannot be trained to interpolate; those that can: {', '.join(TASKS)}"
        )
    module, _, name = TASKS[profile_id].partition(":")
    task: type[InterpolationTask] = getattr(import_module(f"cmvc_decoder.training.{module}"), name)
    return task
