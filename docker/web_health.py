"""Asks the web service how it is; the health check of its image. Exits with 0 where it answers."""

import sys
from urllib.error import URLError
from urllib.request import urlopen

try:
    urlopen("http://127.0.0.1:8080/healthz", timeout=3).close()
except URLError as error:
    sys.stderr.write(f"127.0.0.1:8080: {error.reason}\n")
    sys.exit(1)
