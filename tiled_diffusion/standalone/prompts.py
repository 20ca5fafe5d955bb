"""From prompts to what the U-Net is conditioned on, with weights and any length, through the library compel.

Weights are written as `(word:1.2)`; `(word)` is 1.1 times and `[word]` 1 / 1.1 times, both may be nested, and a
backslash makes a bracket an ordinary sign. Only this notation is read here; weighting and long prompts are compel's.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from compel import Compel, ReturnedEmbeddingsType
from compel.prompt_parser import Conjunction, FlattenedPrompt, Fragment
from torch import Tensor

from . import flow
from .model import Model

log = logging.getLogger("tiled_diffusion")
_TOKEN = re.compile(r"\\[()\[\]\\]|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|[()\[\]]|[^()\[\]\\:]+|[:\\]", re.S)
_STRONGER = 1.1


@dataclass(frozen=True)
class Conditioning:
    """One prompt.

    Attributes:
        text: [tokens, channels], cross-attention.
        pooled: [channels] for SDXL, SD 3 and Flux, else None.
    """

    text: Tensor
    pooled: Tensor | None = None


def prompt_length(model: Model, prompt: str) -> tuple[int, int]:
    """Tokens of a prompt, weights left out, and how many fit into as many chunks as it takes."""
    words = " ".join(piece for piece, _ in parse_weights(prompt))
    tokenizer = model.tokenizers[0]
    chunk = int(tokenizer.model_max_length) - 2
    count = len(tokenizer(words, truncation=False, add_special_tokens=False)["input_ids"])
    return count, chunk * max(1, -(-count // chunk))


def parse_weights(prompt: str) -> list[tuple[str, float]]:
    """Pieces of a prompt with their weights; a bracket that is never closed weighs to the end.

    >>> parse_weights("a (red:1.5) house")
    [('a ', 1.0), ('red', 1.5), (' house', 1.0)]
    """
    pieces: list[tuple[str, float]] = []
    opened: list[tuple[str, int]] = []

    def weigh(since: int, factor: float) -> None:
        pieces[since:] = [(text, weight * factor) for text, weight in pieces[since:]]

    for match in _TOKEN.finditer(prompt):
        token = match.group()
        if token in "([":
            opened.append((token, len(pieces)))
        elif match.group(1) and opened and opened[-1][0] == "(":
            weigh(opened.pop()[1], float(match.group(1)))
        elif token in ")]" and opened and opened[-1][0] == {")": "(", "]": "["}[token]:
            weigh(opened.pop()[1], _STRONGER if token == ")" else 1 / _STRONGER)
        else:
            pieces.append((token[1:] if token[0] == "\\" and len(token) > 1 else token, 1.0))
    for bracket, since in reversed(opened):
        weigh(since, _STRONGER if bracket == "(" else 1 / _STRONGER)
    return _joined(pieces)


def _joined(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    out: list[tuple[str, float]] = []
    for text, weight in pieces:
        if out and out[-1][1] == weight:
            out[-1] = (out[-1][0] + text, weight)
        else:
            out.append((text, weight))
    return out or [("", 1.0)]


class Encoder:
    """Encodes prompts for one model; all results have the same number of tokens."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._compels: list[Compel] = []
        if model.is_flow:
            return
        kind = (
            ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
            if model.kind == "sdxl"
            else ReturnedEmbeddingsType.LAST_HIDDEN_STATES_NORMALIZED
        )
        self._compels = [
            Compel(
                tokenizer=tokenizer,
                text_encoder=text_encoder,
                returned_embeddings_type=kind,
                truncate_long_prompts=False,
                dtype_for_device_getter=lambda device: model.dtype,  # noqa: ARG005
                device=str(model.device),
            )
            for tokenizer, text_encoder in zip(model.tokenizers, model.text_encoders, strict=True)
        ]

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> list[Conditioning]:
        """One conditioning for each prompt, padded to a common length with what an empty prompt gives."""
        if self.model.is_flow:
            return [Conditioning(*both) for both in flow.encoded(self.model, [self._unweighted(p) for p in prompts])]
        logging.getLogger("transformers.tokenization_utils_base").setLevel(logging.ERROR)  # long prompts are meant
        parts = [self._texts(c, prompts) for c in self._compels]
        texts = [torch.cat(channels, dim=-1)[0] for channels in zip(*parts, strict=True)]
        if self.model.kind != "sdxl":
            return [Conditioning(t) for t in texts]
        return [Conditioning(t, self._pooled(p)) for t, p in zip(texts, prompts, strict=True)]

    @staticmethod
    def _unweighted(prompt: str) -> str:
        pieces = parse_weights(prompt)
        if any(weight != 1 for _, weight in pieces):
            log.warning("weights of words such as (red:1.2) are left out: this model's text encoders know none")
        return "".join(text for text, _ in pieces)

    @staticmethod
    def _texts(compel: Compel, prompts: Sequence[str]) -> list[Tensor]:
        tensors = []
        for prompt in prompts:
            fragments = [Fragment(text, weight) for text, weight in parse_weights(prompt)]
            tensor, _ = compel.build_conditioning_tensor_for_conjunction(Conjunction([FlattenedPrompt(fragments)]))
            tensors.append(tensor)
        return list(compel.pad_conditioning_tensors_to_same_length(tensors))

    def _pooled(self, prompt: str) -> Tensor:
        """The second text encoder's projection of the first 77 tokens, without weights."""
        text = "".join(piece for piece, _ in parse_weights(prompt))
        tokenizer: Any = self.model.tokenizers[-1]
        ids = tokenizer(text, padding="max_length", truncation=True, return_tensors="pt").input_ids
        pooled: Tensor = self.model.text_encoders[-1](ids.to(self.model.device)).text_embeds[0]
        return pooled
