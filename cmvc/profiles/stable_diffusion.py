"""Stable Diffusion 1.5, which several profiles take parts of."""

from cmvc.profiles.weights import HUB, Licence

REPO = "stable-diffusion-v1-5/stable-diffusion-v1-5"
REVISION = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
LICENCE = Licence(
    "CreativeML-OpenRAIL-M",
    "commercial use is allowed, the uses of its Attachment A are not, and whoever gets the model or a service made of "
    "it is to be bound by them too",
    f"{HUB}/spaces/CompVis/stable-diffusion-license",
)
