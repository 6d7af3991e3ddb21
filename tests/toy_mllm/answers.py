"""What the toy says about a scene."""

from tests.toy_vace.domain import Scene


def content_answer(scene: Scene) -> str:
    """Return the answer about one picture."""
    return scene.caption.split(". ", 1)[0] + "."


def motion_answer(scene: Scene) -> str:
    """Return the answer about several pictures in order of time."""
    return scene.caption.split(". ", 1)[1] if scene.direction else "Nothing moves."
