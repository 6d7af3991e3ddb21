"""Perceptual measures: what they must say whatever the weights, and what upstream says with its own."""

import pickle
from collections import OrderedDict
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from perceptual_weights import random_weights  # noqa: E402

from cmvc.errors import MissingWeightsError  # noqa: E402
from cmvc.media.picture import Picture  # noqa: E402
from cmvc.perceptual import meter  # noqa: E402
from cmvc.perceptual.arrays import read_arrays  # noqa: E402
from cmvc.perceptual.metrics import as_tensor, dists, lpips  # noqa: E402
from cmvc.perceptual.motion import Steadiness  # noqa: E402
from cmvc.perceptual.weights import _FILE, cache_folder, load_weights  # noqa: E402


@pytest.fixture(scope="module")
def weights():
    return random_weights()


def picture(noise=0.0):
    rng = np.random.default_rng(0)
    plain = np.kron(rng.integers(40, 200, (8, 8, 3)), np.ones((8, 8, 1)))
    return as_tensor(np.clip(plain + noise * rng.standard_normal(plain.shape), 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    "measure", [lambda *a: lpips(a[0], "alexnet", *a[1:]), lambda *a: lpips(a[0], "vgg16", *a[1:]), dists]
)
def test_the_same_is_nothing_and_more_noise_is_more(weights, measure):
    same, little, much = (measure(weights, picture(), picture(noise)) for noise in (0, 6, 60))
    assert same == pytest.approx(0, abs=1e-5)
    assert 0 < little < much
    assert measure(weights, picture(60), picture()) == pytest.approx(much, rel=1e-4)


def test_what_is_looked_at_has_its_number(weights, monkeypatch):
    monkeypatch.setattr(meter, "load_weights", lambda: weights)
    found = meter.PerceptualMeter(Fraction(24), 1)
    rng = np.random.default_rng(0)
    gray = np.full((64, 64), 128, np.uint8)
    for number in range(30):
        source = Picture(rng.integers(60, 180, (64, 64), np.uint8), gray[::2, ::2], gray[::2, ::2])
        found.push(source, source if number < 12 else replace(source, y=gray))
    first, *others = found.looked_at()
    assert [number for number, _ in (first, *others)] == [0, 12, 24]
    assert all(score == pytest.approx(0, abs=1e-5) for score in first[1].values())
    assert all(each["lpips_alex"] > 0 and each["dists"] > 0 for _, each in others)


@pytest.mark.skipif(not (cache_folder() / _FILE).exists(), reason="weights of LPIPS and DISTS were not fetched here")
def test_with_the_published_weights_noise_is_as_bad_as_upstream_has_it():
    weights = load_weights()
    assert lpips(weights, "alexnet", picture(), picture(60)) > 3 * lpips(weights, "alexnet", picture(), picture(6)) > 0
    assert float(weights["dists.alpha"].min()) >= 0


def test_arrays_are_read_by_name():
    tree = {"a": {"b": np.arange(4, dtype=np.float32)}}
    (name, found), *rest = read_arrays(pickle.dumps(tree)).items()
    assert (name, found.tolist(), rest) == ("a.b", [0, 1, 2, 3], [])


class Evil:
    def __reduce__(self):
        return (print, ("called",))


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Evil()),
        pickle.dumps(OrderedDict()),
        pickle.dumps({"a": np.float64(1)}),
        pickle.dumps({"a": 1}),
        b"",
        b"\x80",
    ],
)
def test_whatever_else_a_pickle_names_is_refused(data, capsys):
    with pytest.raises(MissingWeightsError):
        read_arrays(data)
    assert capsys.readouterr().out == ""


def test_a_video_that_flickers_is_less_steady():
    rng = np.random.default_rng(0)
    still = np.kron(rng.integers(60, 180, (8, 8)), np.ones((8, 8))).astype(np.uint8)
    source = [np.roll(still, n, axis=1) + rng.integers(0, 3, still.shape, np.uint8) for n in range(4)]
    same, flickering = Steadiness(), Steadiness()
    for n, luma in enumerate(source):
        same.push(luma, luma)
        flickering.push(luma, luma + np.uint8(12 * (n % 2)))
    assert same.scores() == {"warping_error": pytest.approx(1.0), "flicker": 0.0}
    assert flickering.scores()["flicker"] == pytest.approx(12)
    assert flickering.scores()["warping_error"] > 2
