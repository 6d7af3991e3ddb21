"""The profile ``swiftvr``: one step of a denoiser with windowed attention, between a light autoencoder's two halves."""

from cmvc_decoder.generators.swiftvr.profile import SwiftVr as SwiftVr
