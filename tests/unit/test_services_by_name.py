import pytest

from cmvc import services
from cmvc.errors import MissingServiceError


@pytest.mark.parametrize("name", ["encoder", "decoder", "gateway"])
def test_absent_service_says_what_to_install(monkeypatch, name):
    monkeypatch.setattr(services, "entry_points", lambda **_: ())
    with pytest.raises(MissingServiceError, match=rf"pip install '\.\[cli\]' \./services/{name}"):
        getattr(services, f"load_{name}")()


def test_services_are_found_by_name():
    assert services.load_encoder().encode
    assert services.load_decoder().decode
    assert services.load_gateway().attach
