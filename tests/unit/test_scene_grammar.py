import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmvc.bitstream.words import CODE_LENGTHS, pack_words
from cmvc.scene import grammar as g
from cmvc.scene.palette import (
    find_colour,
    lab_to_rgb,
    names_and_labs,
    nearest_name,
    palette,
    rgb_to_lab,
    rgb_to_yuv,
    yuv_to_rgb,
)
from cmvc.scene.shape import cover, grid, radius

COLOURS = st.sampled_from(list(palette()))
NOUNS = st.sampled_from(list(g.NOUNS))
SPEEDS = st.sampled_from(list(g.SPEEDS))
ELEMENTS = st.builds(
    g.Element,
    COLOURS,
    NOUNS,
    *(st.sampled_from(list(words)) for words in (g.SIZES, g.SHAPES, g.TILTS, g.COLUMNS, g.ROWS)),
)
BACKGROUNDS = st.builds(g.Element, COLOURS, NOUNS)
MOVES = st.one_of(
    st.builds(g.Move, COLOURS, NOUNS, st.sampled_from(list(g.DIRECTIONS)), SPEEDS, st.just("")),
    st.builds(g.Move, COLOURS, NOUNS, st.just(""), SPEEDS, st.sampled_from(g.WAYS)),
)


@st.composite
def cameras(draw):
    words = {"shake": draw(st.sampled_from(g.SHAKES))}
    for name, choices in (("pan", ("left", "right")), ("tilt", ("up", "down")), ("zoom", ("in", "out"))):
        if draw(st.booleans()):
            words |= {name: draw(st.sampled_from(choices)), f"{name}_speed": draw(SPEEDS)}
    return g.Camera(**words)


SCENES = st.builds(
    g.Scene,
    BACKGROUNDS,
    st.lists(ELEMENTS, max_size=12).map(tuple),
    cameras(),
    st.lists(MOVES, max_size=4).map(tuple),
    st.sampled_from(("", *g.LIGHTS)),
)


@given(SCENES)
def test_a_scene_comes_back_from_its_text(scene):
    content, motion = g.write_scene(scene)
    assert "\n" not in content + motion
    assert g.read_scene(f"{content}\n{motion}") == scene


@given(SCENES)
def test_every_scene_is_of_the_coded_vocabulary(scene):
    content, motion = g.write_scene(scene)
    assert pack_words(f"{content}\n{motion}" if motion else content) is not None


def test_the_word_code_is_complete():
    assert sum(2.0**-length for length in CODE_LENGTHS.values()) == 1


@given(st.text(max_size=300))
def test_any_text_is_a_scene(text):
    assert isinstance(g.read_scene(text), g.Scene)


def test_ordinary_english_is_understood():
    scene = g.read_scene("A man in a dark red jacket walks quickly to the left, blue sky, green trees on the right.")
    assert [e.noun for e in scene.elements] == ["figure", "sky", "trees"]
    assert scene.elements[0].colour == "dark red"
    assert scene.elements[2].column == "right"
    assert scene.moves[0].direction == "left"
    assert scene.moves[0].speed == "fast"


def test_colours_have_distinct_names_that_read_back():
    names, labs = names_and_labs()
    assert len(names) >= 100
    assert all(find_colour(name.split()) == name for name in names)
    assert all(nearest_name(lab) == name for name, lab in zip(names, labs, strict=True))


def test_colours_of_nature_are_named_closely():
    rng = np.random.default_rng(1)
    lab = np.stack([rng.uniform(5, 95, 500), *rng.normal(0, 14, (2, 500))], -1).astype(np.float32)
    lab = rgb_to_lab(lab_to_rgb(lab))
    nearest = np.sqrt(((lab[:, None] - names_and_labs()[1][None]) ** 2).sum(-1)).min(1)
    assert nearest.mean() < 5.5
    assert nearest.max() < 15


@given(st.tuples(*[st.floats(0, 1, width=32)] * 3))
def test_colour_spaces_are_inverse(rgb):
    rgb = np.array(rgb, np.float32)
    np.testing.assert_allclose(yuv_to_rgb(rgb_to_yuv(rgb)), rgb, atol=2e-3)
    np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(rgb)), rgb, atol=3e-3)


@given(ELEMENTS, st.floats(0.3, 3))
def test_opacity_is_a_share(element, aspect):
    x, y = grid(32, 18)
    opacity = cover(radius(element, x, y, aspect), g.NOUNS[element.noun].edge)
    assert opacity.shape == (18, 32)
    assert opacity.min() >= 0
    assert opacity.max() <= 1


def test_a_camera_that_does_what_the_grammar_has_no_word_for_stays_where_it_is():
    for text in ("The camera follows her.", "Red.\nThe camera.", "The camera tracks a dog, slowly."):
        assert g.read_scene(text).camera == g.Camera()
