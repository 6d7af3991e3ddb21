"""The ``cmvc`` command, but what decodes CODED segments never comes back, whatever it is told; a program for tests."""

import time

from cmvc.cli import main
from cmvc_decoder.executors.in_process import InProcessExecutor


def _never(*_arguments):
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    InProcessExecutor.generate = _never
    main()
