"""What is passed on with an image is named, with its licence."""

import re
from pathlib import Path

import av
import pytest

ROOT = Path(__file__).parents[2]
CARRIED = sorted(Path(av.__file__).parents[1].glob("av.libs/lib*.so*"))


@pytest.mark.skipif(not CARRIED, reason="this PyAV was built here; it carries no libraries")
def test_every_library_that_pyav_carries_is_named():
    notice = (ROOT / "NOTICE").read_text()
    names = {re.split(r"-[0-9a-f]{8}\.so", path.name)[0] for path in CARRIED}
    assert {"libx264", "libx265"} <= names
    wholes = {re.sub(r"^libxcb-.*", "libxcb", name) for name in names}
    assert not [name for name in wholes if not re.search(rf"\b{name}\b", notice)]


@pytest.mark.parametrize("name", ["decoder", "encoder", "gateway", "triton", "web"])
def test_labels_of_images_say_what_is_in_them(name):
    text = (ROOT / "docker" / f"{name}.Dockerfile").read_text()
    (licences,) = re.findall(r'image\.licenses="([^"]*)"', text)
    assert ("GPL-2.0-or-later" in licences) == (name not in {"gateway", "web"})
    assert "LICENSE NOTICE" in text
