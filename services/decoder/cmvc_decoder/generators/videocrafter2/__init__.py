"""The profile ``videocrafter2``: the denoiser, its sampler and the way from the authors' checkpoint to both."""

from cmvc_decoder.generators.videocrafter2.profile import VideoCrafter2 as VideoCrafter2
