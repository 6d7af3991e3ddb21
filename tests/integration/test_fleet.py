"""Children of ``cmvc serve all``."""

from servers import until
from streams import stream

from cmvc.cli.fleet import Children, Fleet
from cmvc.client import Client
from cmvc.errors import BackendUnavailableError


def test_child_that_falls_is_started_again_at_its_address():
    data = stream(segments=1)

    def works(address):
        try:
            with Client(address) as client:
                return bool(list(client.decode_stream([data])))
        except BackendUnavailableError:
            return False

    with Fleet({"decoder": Children(1)}, metrics=False) as fleet:
        (address,) = fleet.addresses("decoder")
        assert works(address)
        fleet._children[0].process.kill()
        until(lambda: not works(address), "the child is gone")
        until(lambda: works(address), "the child is back")
    assert not works(address)
