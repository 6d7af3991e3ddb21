"""``python -m examples.demo [--video FILE] [--out FOLDER]``; ``make demo`` calls it."""

import argparse
import signal
import sys
from pathlib import Path
from typing import Never

from rich.console import Console

from cmvc.errors import CmvcError
from examples.demo.run import run


def main() -> Never:
    """Run the demo and exit: 0 done, 1 failed, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="make demo", description="A video through every mode of CMVC.")
    parser.add_argument("--video", type=Path, help="your own; without it, one that is rendered here")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the results")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(highlight=False)
    try:
        run(console, options.video, options.out)
    except KeyboardInterrupt:
        console.print("interrupted; the services are stopped")
        sys.exit(130)
    except (CmvcError, OSError) as error:
        print(f"error: {getattr(error, 'reason', 'IO_ERROR')}: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    main()
