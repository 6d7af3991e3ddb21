"""Weights of LPIPS and DISTS of the real shapes, by chance: the layers on top are not negative, as trained ones are."""

import torch

ALEXNET = ((64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3))
VGG16 = ((64, 3), (64, 64), (128, 64), (128, 128), (256, 128), (256, 256), (256, 256), (512, 256), *[(512, 512)] * 5)


def random_weights() -> dict[str, torch.Tensor]:
    """Return weights by the names of ``load_weights``."""
    torch.manual_seed(0)
    found = {}
    for number, (out, into, side) in enumerate(ALEXNET):
        found[f"alexnet.AlexNet_0.Conv_{number}.kernel"] = torch.randn(out, into, side, side) / (into * side**2) ** 0.5
        found[f"alexnet.AlexNet_0.Conv_{number}.bias"] = torch.zeros(out)
        found[f"alexnet.NetLinLayer_{number}.Conv_0.kernel"] = torch.rand(1, out, 1, 1)
    for number, (out, into) in enumerate(VGG16):
        found[f"vgg16.VGG16_0.Conv_{number}.kernel"] = torch.randn(out, into, 3, 3) / (into * 9) ** 0.5
        found[f"vgg16.VGG16_0.Conv_{number}.bias"] = torch.zeros(out)
    for number, channels in enumerate((64, 128, 256, 512, 512)):
        found[f"vgg16.NetLinLayer_{number}.Conv_0.kernel"] = torch.rand(1, channels, 1, 1)
    return found | {f"dists.{name}": torch.rand(1, 1475, 1, 1) for name in ("alpha", "beta")}
