import subprocess
import sys

import cv2
import numpy as np
import pytest

from cmvc.errors import UnknownEmbeddingError
from cmvc.media.picture import Picture
from cmvc.media.scaling import resize
from cmvc_encoder.keyframes.embeddings import make_embedder
from cmvc_encoder.keyframes.embeddings.embedded import EmbeddedEmbedder
from cmvc_encoder.options import EncoderOptions

WIDTH, HEIGHT = 320, 180


def scene(seed, offset=0):
    """Return a textured, tinted landscape, seen ``offset`` pixels further to the right."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, 2 * WIDTH)), (0, 0), 14)
    luma = np.clip(rng.integers(80, 160) + 45 * noise / noise.std(), 16, 235).astype(np.uint8)
    tint = rng.integers(100, 156, 2)
    planes = [np.full((HEIGHT // 2, WIDTH // 2), each, np.uint8) for each in tint]
    return Picture(np.ascontiguousarray(luma[:, offset : offset + WIDTH]), *planes)


def flat(level, u=128, v=128, noise=0.0):
    drawn = np.random.default_rng(level).normal(level, noise, (HEIGHT, WIDTH))
    small = (HEIGHT // 2, WIDTH // 2)
    return Picture(np.clip(drawn, 16, 235).astype(np.uint8), np.full(small, u, np.uint8), np.full(small, v, np.uint8))


def cosine(a, b):
    first, second = EmbeddedEmbedder().embed([a, b], 1)
    return float(first @ second)


def test_vectors_have_length_one_and_come_in_order():
    pictures = [scene(1), flat(40), scene(2), flat(16)]
    vectors = EmbeddedEmbedder().embed(pictures, 1)
    assert vectors.shape == (4, 1698)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors[2], EmbeddedEmbedder().embed([scene(2)], 1)[0])


def test_unrelated_scenes_are_far_apart():
    vectors = EmbeddedEmbedder().embed([scene(seed) for seed in range(12)], 1)
    others = (vectors @ vectors.T)[np.triu_indices(12, 1)]
    assert others.max() < 0.6
    assert others.mean() < 0.3


@pytest.mark.parametrize("gain", [0.85, 1.1])
def test_flicker_of_brightness_counts_for_nothing(gain):
    seen = scene(4)
    assert cosine(seen, Picture(np.clip(seen.y * gain, 16, 235).astype(np.uint8), seen.u, seen.v)) > 0.98


def test_small_pans_count_little_and_large_ones_much():
    pans = [cosine(scene(5), scene(5, offset)) for offset in (6, 16, 48, 160)]
    assert pans == sorted(pans, reverse=True)
    assert pans[0] > 0.95
    assert pans[1] > 0.85
    assert pans[3] < 0.6


def test_size_counts_for_nothing():
    assert cosine(scene(6), resize(scene(6), 1280, 720)) > 0.98


def test_noise_in_flat_pictures_counts_little():
    assert cosine(flat(100), flat(120)) > 0.99
    assert cosine(flat(100, noise=4), flat(101, noise=4)) > EmbeddedEmbedder.default_threshold + 0.15


def test_colour_counts_even_in_flat_pictures():
    assert cosine(flat(100, 90, 150), flat(100, 160, 100)) < 0.85


def test_unknown_embedding_says_what_there_is():
    with pytest.raises(UnknownEmbeddingError, match="no embedding 'gist'; choose one of: embedded, clip, siglip"):
        make_embedder("gist", EncoderOptions())


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({missing!r}))
from cmvc_encoder.options import EncoderOptions
from cmvc_encoder.keyframes.embeddings import make_embedder
print(make_embedder("embedded", EncoderOptions()).id)
make_embedder("clip", EncoderOptions())
"""


def test_without_its_libraries_an_embedding_says_what_to_install():
    code = WITHOUT.format(missing=("torch", "transformers"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["embedded"]
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("cmvc.errors.MissingServiceError: the embedding clip needs torch, which is not installed")
    assert error.endswith("'./services/encoder[transformers]'")
