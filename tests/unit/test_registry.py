import pytest

from cmvc.errors import MissingServiceError
from cmvc.service import registry


@pytest.mark.parametrize("name", ["encoder", "decoder", "gateway"])
def test_absent_service_says_what_to_install(monkeypatch, name):
    monkeypatch.setattr(registry, "entry_points", lambda **_: ())
    with pytest.raises(MissingServiceError, match=rf"pip install '\.\[cli\]' \./services/{name}"):
        getattr(registry, f"load_{name}")()


def test_services_are_found_by_name():
    assert registry.load_encoder().encode
    assert registry.load_decoder().decode
    assert registry.load_gateway().attach
