"""Prompts taken apart into phrases, and put together again without some."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiled_diffusion.engine.phrases import phrases, without

TABLE = [
    ("a red tower on grass, blue sky", ["a red tower", "on grass", "blue sky"]),
    ("a house", ["a house"]),
    ("masterpiece, (a dog, on grass:1.2) with a cat", ["masterpiece", "(a dog, on grass:1.2)", "with a cat"]),
    ("a [cat:dog and bird:0.5], {red, blue} sky", ["a [cat:dog and bird:0.5]", "{red, blue} sky"]),
    ("a \\(band, of two\\) at night", ["a \\(band", "of two\\)", "at night"]),
    ("a cat AND a dog :0.5", ["a cat", "AND a dog :0.5"]),
    ("1girl\uff0c\u82b1\u3001\u7a7a", ["1girl", "\u82b1", "\u7a7a"]),
    ("sand, island, onion", ["sand", "island", "onion"]),
    (" , ,a boat,, the sea\nnight ;moon,", ["a boat", "the sea", "night", "moon"]),
    ("", []),
]


@pytest.mark.parametrize(("prompt", "texts"), TABLE)
def test_phrases(prompt, texts):
    assert [phrase.text for phrase in phrases(prompt)] == texts


@given(st.text(alphabet="ab (),[]{}\\on,;\n with\uff0c", max_size=40))
def test_together_they_are_the_prompt_again(prompt):
    made = without(phrases(prompt), ())
    assert made in prompt
    assert [c for c in made if c not in " \n\t,;\uff0c"] == [c for c in prompt if c not in " \n\t,;\uff0c"]


@pytest.mark.parametrize(
    ("prompt", "left_out", "rest"),
    [
        ("a red tower on grass, blue sky", {0}, "grass, blue sky"),
        ("a red tower on grass, blue sky", {1}, "a red tower, blue sky"),
        ("a red tower on grass, blue sky", {0, 1}, "blue sky"),
        ("a red tower on grass, blue sky", {2}, "a red tower on grass"),
        ("a red tower on grass, blue sky", {0, 1, 2}, ""),
        ("in the sea, a boat", {1}, "in the sea"),
        ("a cat AND a dog :0.5 AND grass", {0}, "a dog :0.5 AND grass"),
    ],
)
def test_what_is_left(prompt, left_out, rest):
    assert without(phrases(prompt), left_out) == rest
