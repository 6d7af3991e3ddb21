"""LPIPS and DISTS of RGB pictures."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_POOL = "M"
_VGG16 = (64, 64, _POOL, 128, 128, _POOL, 256, 256, 256, _POOL, 512, 512, 512, _POOL, 512, 512, 512)
_TAPPED = (1, 4, 8, 12, 16)  # entries of it whose outputs are compared
_ALEXNET = ((4, 2), (1, 2), (1, 1), (1, 1), (1, 1))  # stride and padding of its convolutions
_POOLED_BEFORE = (1, 2)  # of them
_LPIPS_MEAN, _LPIPS_DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_IMAGENET_MEAN, _IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_DISTS_CHANNELS = [3, 64, 128, 256, 512, 512]
_TINY = 1e-6

Rgb = NDArray[np.uint8]
Weights = Mapping[str, Tensor]
Pool = Callable[[Tensor], Tensor]


def as_tensor(picture: Rgb) -> Tensor:
    """Return a picture (height, width, 3), 0..255, as (1, 3, height, width), 0..1."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255


def lpips(weights: Weights, net: str, a: Tensor, b: Tensor) -> float:
    """Return LPIPS 0.1 (Zhang et al., 2018) of two pictures (1, 3, h, w), 0..1: 0 for the same, less is better.

    Args:
        weights: of ``load_weights``.
        net: ``alexnet`` or ``vgg16``.
        a: one picture.
        b: the other.
    """
    with torch.inference_mode():
        return float(lpips_each(weights, net, a, b))


def lpips_each(weights: Weights, net: str, a: Tensor, b: Tensor) -> Tensor:
    """Return LPIPS of pictures (n, 3, h, w), 0..1, one by one, (n,); it has a gradient, so that it can be a loss.

    Args:
        weights: of ``load_weights``.
        net: ``alexnet`` or ``vgg16``.
        a: some pictures.
        b: others, of the same size.
    """
    features = {"alexnet": _alexnet, "vgg16": _vgg16}[net]
    first, second = (features(weights, _normal(each * 2 - 1, _LPIPS_MEAN, _LPIPS_DEVIATION)) for each in (a, b))
    total = torch.zeros(len(a), device=a.device)
    for layer, (found, other) in enumerate(zip(first, second, strict=True)):
        apart = (_unit(found) - _unit(other)) ** 2
        total = total + functional.conv2d(apart, weights[f"{net}.NetLinLayer_{layer}.Conv_0.kernel"]).mean((1, 2, 3))
    return total


def _unit(found: Tensor) -> Tensor:
    unit: Tensor = found / (found.norm(dim=1, keepdim=True) + 1e-10)
    return unit


def dists(weights: Weights, a: Tensor, b: Tensor) -> float:
    """Return DISTS (Ding et al., 2020) of two pictures (1, 3, h, w), 0..1: 0 for the same, less is better."""
    alpha, beta = weights["dists.alpha"], weights["dists.beta"]
    whole = alpha.sum() + beta.sum()
    alike = torch.zeros(())
    with torch.inference_mode():
        pair = torch.cat([a, b])
        layers = [pair, *_vgg16(weights, _normal(pair, _IMAGENET_MEAN, _IMAGENET_DEVIATION), _blurred_pool)]
        parts = zip(layers, *(torch.split(each, _DISTS_CHANNELS, 1) for each in (alpha, beta)), strict=True)
        for found, texture, structure in parts:
            mean = found.mean((2, 3), keepdim=True)
            variance = ((found - mean) ** 2).mean((2, 3), keepdim=True)
            shared = (found[:1] * found[1:]).mean((2, 3), keepdim=True) - mean[:1] * mean[1:]
            means = (2 * mean[:1] * mean[1:] + _TINY) / (mean[:1] ** 2 + mean[1:] ** 2 + _TINY)
            structures = (2 * shared + _TINY) / (variance[:1] + variance[1:] + _TINY)
            alike = alike + (texture * means + structure * structures).sum() / whole
    return float(1 - alike)


def _normal(pictures: Tensor, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Tensor:
    return (pictures - pictures.new_tensor(mean).view(1, 3, 1, 1)) / pictures.new_tensor(deviation).view(1, 3, 1, 1)


def _convolved(weights: Weights, name: str, x: Tensor, stride: int, padding: int) -> Tensor:
    kernel, bias = weights[f"{name}.kernel"], weights[f"{name}.bias"]
    return functional.relu(functional.conv2d(x, kernel, bias, stride, padding))


def _alexnet(weights: Weights, x: Tensor) -> list[Tensor]:
    found = []
    for layer, (stride, padding) in enumerate(_ALEXNET):
        x = functional.max_pool2d(x, 3, 2) if layer in _POOLED_BEFORE else x
        x = _convolved(weights, f"alexnet.AlexNet_0.Conv_{layer}", x, stride, padding)
        found.append(x)
    return found


def _vgg16(weights: Weights, x: Tensor, pool: Pool = lambda x: functional.max_pool2d(x, 2)) -> list[Tensor]:
    found, layer = [], 0
    for place, entry in enumerate(_VGG16):
        if entry == _POOL:
            x = pool(x)
            continue
        x = _convolved(weights, f"vgg16.VGG16_0.Conv_{layer}", x, 1, 1)
        layer += 1
        if place in _TAPPED:
            found.append(x)
    return found


def _blurred_pool(x: Tensor) -> Tensor:
    """Return DISTS's L2 pooling: the root of squares averaged under a 3x3 Hanning window, every second one."""
    taps = torch.tensor([0.5, 1.0, 0.5])
    window = torch.outer(taps, taps) / 4
    channels = x.shape[1]
    squares = functional.conv2d(x**2, window.expand(channels, 1, 3, 3), stride=2, padding=1, groups=channels)
    return (squares + 1e-12).sqrt()
