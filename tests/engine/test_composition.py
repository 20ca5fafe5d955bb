"""Joined prompts, AND and ensembles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiled_diffusion.engine.composition import Part, joined, parts

PARTS = [
    ("a dog", [("a dog", 1)]),
    ("time 10:30", [("time 10:30", 1)]),
    ("", [("", 1)]),
    ("a AND b", [("a", 1), ("b", 1)]),
    ("a :0.5 AND b :-1.5", [("a", 0.5), ("b", -1.5)]),
    ("SAND AND ANDREW", [("SAND", 1), ("ANDREW", 1)]),
    ("[a:b:0.5] AND (c:1.2)", [("[a:b:0.5]", 1), ("(c:1.2)", 1)]),
    ("a ENSEMBLE b", [("a", 0.5), ("b", 0.5)]),
    ("a :1 ENSEMBLE b :3", [("a", 0.25), ("b", 0.75)]),
    ("a ENSEMBLE b AND c :2", [("a", 0.5), ("b", 0.5), ("c", 2)]),
    ("a :0 ENSEMBLE b :0", [("a", 0.5), ("b", 0.5)]),
]


@pytest.mark.parametrize(("prompt", "expected"), PARTS)
def test_parts(prompt, expected):
    assert parts(prompt) == tuple(Part(text, weight) for text, weight in expected)


JOINED = [
    ("main", "own", "replace", "own"),
    ("main", "own", "append", "main, own"),
    ("main", "own", "prepend", "own, main"),
    ("", "own", "append", "own"),
    ("main", " ", "prepend", "main"),
    ("main", "", "replace", ""),
    ("m AND n :2", "a", "append", "m, a AND n, a :2"),
    ("m", "a ENSEMBLE b :3", "append", "m, a ENSEMBLE m, b :3"),
    ("m :0.5 AND n", "a AND b", "prepend", "a, m :0.5 AND a, n AND b, m :0.5 AND b, n"),
]


@pytest.mark.parametrize(("main", "own", "join", "expected"), JOINED)
def test_joined(main, own, join, expected):
    assert joined(main, own, join) == expected


@given(st.lists(st.floats(0.01, 50), min_size=2, max_size=6))
def test_weights_of_an_ensemble_sum_to_1(weights):
    prompt = " ENSEMBLE ".join(f"p{i} :{w:.3f}" for i, w in enumerate(weights))
    assert sum(p.weight for p in parts(prompt)) == pytest.approx(1)
