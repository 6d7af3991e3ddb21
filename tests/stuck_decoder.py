"""The ``cmvc`` command, but a decoder never comes back, whatever it is told; a program for tests.

From decoding CODED segments, or, where ``STUCK=start`` is in the environment, from loading what it needs.
"""

import os
import time

from cmvc.cli import main
from cmvc_decoder.executors.in_process import InProcessExecutor


def _never(*_arguments):
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    setattr(InProcessExecutor, os.environ.get("STUCK", "generate"), _never)
    main()
