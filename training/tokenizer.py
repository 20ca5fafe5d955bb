"""A tokenizer of CLIP's kind in which every word of the captions is one token."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.dataset import vocabulary
from training.state import WORK

START, END = "<|startoftext|>", "<|endoftext|>"
Pair = tuple[str, str]


def bytes_to_unicode() -> list[str]:
    """CLIP's printable stand-ins for the 256 bytes, in CLIP's order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = 256 - len(printable)
    return [chr(c) for c in printable] + [chr(256 + i) for i in range(others)]


def merged(word: list[str], pair: Pair) -> list[str]:
    """The parts of a word, with every occurrence of the pair as one part."""
    out, i = [], 0
    while i < len(word):
        size = 2 if tuple(word[i : i + 2]) == pair else 1
        out.append("".join(word[i : i + size]))
        i += size
    return out


def byte_pair_merges(words: Sequence[str]) -> list[Pair]:
    """Plain byte-pair training until every word is whole: each word counts once, first found wins ties."""
    parts = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges = []
    while counts := Counter(pair for word in parts for pair in itertools.pairwise(word)):
        best = max(counts, key=lambda pair: counts[pair])
        merges.append(best)
        parts = [merged(word, best) for word in parts]
    return merges


def make_tokenizer(folder: Path) -> None:
    """Writes the files of a CLIPTokenizer; words that are not in the data set fall to pieces."""
    folder.mkdir(parents=True, exist_ok=True)
    merges, chars = byte_pair_merges(vocabulary()), bytes_to_unicode()
    tokens = chars + [c + "</w>" for c in chars] + [a + b for a, b in merges] + [START, END]
    ids = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    lines = "\n".join(" ".join(pair) for pair in merges)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{lines}\n", encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "do_lower_case": True,
        "errors": "replace",
        "add_prefix_space": False,
        **special,
    }
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=1))
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))


def load_tokenizer() -> Any:
    """The one that the training of the U-Net begins with."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(WORK / "tokenizer")


def encode_texts(tokenizer: Any, texts: list[str]) -> Tensor:
    """Token ids [n, 77]."""
    ids = tokenizer(texts, padding="max_length", max_length=77, truncation=True)["input_ids"]
    return torch.tensor(ids, dtype=torch.int16)
