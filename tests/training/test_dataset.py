"""The drawn pictures are reproducible and their captions say what they hold."""

import json
from pathlib import Path

import numpy as np
import pytest

from tiled_diffusion import standalone
from training import dataset

SEEDS = range(150)
NUMBERS = {1: "one", 2: "two", 3: "three"}


def said(scene, caption):
    """The kinds of things a caption names."""
    words = {k: {w.split()[-1] for w in v} for k, v in dataset.OBJECT_WORDS.items()}
    for kind, plural in dataset.PLURALS.items():
        words[kind].add(plural)
    heard = set(caption.replace(",", " ").split())
    return {kind for kind, names in words.items() if names & heard}


def test_a_picture_is_a_function_of_its_seed():
    for size in ((128, 128), (256, 128)):
        a, b = (dataset.make_sample(7, *size) for _ in range(2))
        assert a[0].size == size
        assert a[1:] == b[1:]
        assert np.array_equal(np.asarray(a[0]), np.asarray(b[0]))


def test_another_seed_is_another_picture():
    assert len({dataset.make_scene(s)["horizon"] for s in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("make", [dataset.make_scene, dataset.make_zoomed])
def test_captions_name_the_objects_that_are_there_and_no_others(make):
    for seed in SEEDS:
        scene = make(seed)
        assert said(scene, dataset.make_caption(scene)) == {ob["kind"] for ob in scene["objects"]}


def test_counted_things_are_counted_right():
    counted = 0
    for seed in SEEDS:
        scene = dataset.make_scene(seed)
        caption = dataset.make_caption(scene)
        kinds = {ob["kind"] for ob in scene["objects"]}
        if len(kinds) == 1 and len({ob["colour"] for ob in scene["objects"]}) == 1:
            n = len(scene["objects"])
            assert not {NUMBERS[k] for k in NUMBERS if k != n} & set(caption.replace(",", " ").split())
            counted += n > 1
    assert counted > 5


def test_close_ups_say_so():
    captions = [dataset.make_caption(dataset.make_zoomed(seed)) for seed in SEEDS]
    marked = [any(w in c for w in ("close up", "big", "large")) for c in captions]
    assert sum(marked) / len(marked) > .8


def test_every_word_is_one_token_of_the_checkpoint():
    vocab = json.loads((Path(standalone.__file__).parent / "checkpoint/tokenizer/vocab.json").read_text("utf-8"))
    assert all(w + "</w>" in vocab for w in dataset.vocabulary())
