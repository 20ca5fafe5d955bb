"""Weights in prompts, and prompts of any length."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.standalone.tiny import pipeline, tiny_model
from tiled_diffusion.standalone.prompts import Encoder, parse_weights

TABLE = [
    ("a house", [("a house", 1)]),
    ("", [("", 1)]),
    ("a (red:1.5) house", [("a ", 1), ("red", 1.5), (" house", 1)]),
    ("(red)", [("red", 1.1)]),
    ("((red))", [("red", 1.21)]),
    ("[red]", [("red", 1 / 1.1)]),
    ("(a (red:2) house:0.5)", [("a ", 0.5), ("red", 1), (" house", 0.5)]),
    (r"\(red\)", [("(red)", 1)]),
    ("(red", [("red", 1.1)]),
    ("red)", [("red)", 1)]),
    ("(red]", [("red]", 1.1)]),
    ("at 12:30, a: b", [("at 12:30, a: b", 1)]),
    ("(at 12:30)", [("at 12", 30.0)]),
    ("[red:1.5]", [("red:1.5", 1 / 1.1)]),
    ("(red:.5)", [("red", 0.5)]),
]


@pytest.mark.parametrize(("prompt", "pieces"), TABLE)
def test_weights(prompt, pieces):
    got = parse_weights(prompt)
    assert [text for text, _ in got] == [text for text, _ in pieces]
    assert [weight for _, weight in got] == pytest.approx([weight for _, weight in pieces])


@given(st.text())
def test_any_text_is_a_prompt(prompt):
    assert parse_weights(prompt)


@given(st.text(alphabet=st.characters(exclude_characters="()[]\\")))
def test_text_without_brackets_is_itself(prompt):
    assert parse_weights(prompt) == [(prompt, 1.0)]


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_a_plain_prompt_is_what_diffusers_encodes(kind):
    pipe = pipeline(kind)
    [ours] = Encoder(tiny_model(kind)).encode(["a red house on grass"])
    with torch.no_grad():
        theirs = pipe.encode_prompt(
            "a red house on grass", device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
        )
    torch.testing.assert_close(ours.text, theirs[0][0], atol=1e-5, rtol=0)
    if kind == "sdxl":
        torch.testing.assert_close(ours.pooled, theirs[2][0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_prompts_of_unequal_length_get_a_common_one(kind):
    long = ", ".join(["a red house on grass, blue sky"] * 20)
    a, b, c = Encoder(tiny_model(kind)).encode(["a house", long, ""])
    assert a.text.shape == b.text.shape == c.text.shape
    assert a.text.shape[0] > 77
    assert a.text.shape[0] % 77 == 0


def test_weights_and_late_words_count():
    encode = Encoder(tiny_model("sd1")).encode
    plain, heavy, light = encode(["a red house", "a (red:1.5) house", "a (red:0.5) house"])
    assert not torch.allclose(plain.text, heavy.text)
    assert not torch.allclose(plain.text, light.text)
    late = ", ".join(["a house"] * 60)
    red, blue = encode([late + ", red", late + ", blue"])
    assert not torch.allclose(red.text, blue.text)
