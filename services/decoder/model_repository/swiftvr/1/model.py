"""The profile that this folder is named after.

Written by make model-repository from cmvc/profiles; change it there.
"""

from cmvc_decoder.triton.skin import TritonPythonModel

__all__ = ["TritonPythonModel"]  # what Triton looks for here
