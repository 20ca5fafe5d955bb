"""The middle attention over all pixels, in exact chunks of query rows through the host's own attention code."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from .group_norm import FixedNorm, Moments, measure, normalise
from .program import Attention

SCORES_BYTES = 256 * 2**20  # a chunk's scores, should the host's code write them out
PROBE = (5, 7)  # rows and columns of the map on which the host's code is tried
SCORES_AT_ONCE = 2  # before and after softmax, where they are written out
CANNOT = (RuntimeError, ValueError, IndexError, TypeError, AttributeError, AssertionError)

RowsOf = Callable[[int, int], Tensor]


class _ScoresSeen(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes whether an operator made a matrix of that many rows and columns."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shape, self.seen = (rows, columns), False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.seen = self.seen or (isinstance(out, Tensor) and tuple(out.shape[-2:]) == self.shape)
        return out


class _Given(nn.Module):
    """A projection whose result is known already."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self._value = value

    def forward(self, x: Tensor) -> Tensor:  # noqa: ARG002
        return self._value


def chunk_rows(width: int, tokens: int, itemsize: int) -> int:
    """Rows of queries per chunk, so that the scores against that many tokens stay below SCORES_BYTES."""
    return max(1, SCORES_BYTES // (tokens * itemsize * width))


def score_bytes(op: Attention, queries: int, tokens: int, itemsize: int) -> int:
    """Bytes of the scores of so many queries that the host's code holds at once; 0 if it writes none."""
    return SCORES_AT_ONCE * queries * tokens * itemsize if writes_scores(op) else 0


def writes_scores(op: Attention) -> bool:
    """Whether the host's attention writes all scores out, seen on a small map; one that cannot be tried may do so."""
    if op.writes_scores is None:
        weight = next(op.module.parameters())
        x = torch.ones(1, int(op.norm.weight.numel()), *PROBE, dtype=weight.dtype, device=weight.device)
        tokens = PROBE[0] * PROBE[1]
        try:
            with torch.no_grad(), _ScoresSeen(tokens, tokens) as watch:
                op.module(x)
            op.writes_scores = watch.seen
        except CANNOT:
            op.writes_scores = True
    return op.writes_scores


def key_stride(height: int, width: int, limit: int) -> int:
    """Every how many-th row and column gives keys, so that there are at most `limit` of them. 1: all, exact."""
    stride = 1
    while -(-height // stride) * -(-width // stride) > limit:
        stride += 1
    return stride


def attend(op: Attention, rows_of: RowsOf, size: tuple[int, int], moments: Moments, limit: int) -> Iterator[Tensor]:
    """The output of the host's attention block, a chunk of rows after the other.

    The host's forward runs on a private copy of the block that shares all weights. In it, the norm has statistics
    of the whole picture, and key and value are those of the whole picture; a row of queries then gets the very result
    of the whole call, because softmax works row by row. Where the host's forward cannot do that (a trial on a small map
    tells), its projections are used around torch's attention.

    Args:
        op: the block.
        rows_of: rows lo .. hi - 1 of its input as [1, C, hi - lo, W] on the device.
        size: height and width of its input.
        moments: statistics of its input.
        limit: most keys that a query may see.
    """
    height, width = size
    sample = rows_of(0, 1)
    stride = key_stride(height, width, limit)
    tokens = -(-height // stride) * -(-width // stride)
    step = chunk_rows(width, tokens, sample.element_size())
    if step >= height and stride == 1:
        yield op.module(rows_of(0, height))
        return
    key, value = _keys(op, rows_of, size, moments, (step, stride))
    run = _host_chunk if _host_can(op, sample) else _own_chunk
    for lo in range(0, height, step):
        yield run(op, rows_of(lo, min(lo + step, height)), moments, key, value)


def _keys(
    op: Attention, rows_of: RowsOf, size: tuple[int, int], moments: Moments, steps: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Key and value of all (or every stride-th) rows and columns, in the shape that the host's projection gives."""
    step, stride = steps
    parts: dict[str, Tensor] = {}
    done = 0
    dim = 1 if op.parts[1] == "to_q" else 2
    for lo in range(0, size[0], step * stride):
        rows = rows_of(lo, min(lo + step * stride, size[0]))[..., ::stride, ::stride]
        normed = normalise(rows, moments, op.norm)
        added = 0
        for name in op.parts[2:]:
            part = _project(op, name, normed)
            if name not in parts:
                shape = list(part.shape)
                shape[dim] = -(-size[0] // stride) * (-(-size[1] // stride) if dim == 1 else 1)
                parts[name] = part.new_empty(shape)
            added = part.shape[dim]
            parts[name].narrow(dim, done, added).copy_(part)
        done += added
    return parts[op.parts[2]], parts[op.parts[3]]


def _project(op: Attention, name: str, normed: Tensor) -> Tensor:
    """The host's projection of a map [1, C, h, w]: tokens [1, h w, C] for linear layouts, else a map."""
    x = normed.flatten(2).transpose(1, 2) if op.parts[1] == "to_q" else normed
    out: Tensor = getattr(op.module, name)(x)
    return out


def _copy(module: Any, replaced: dict[str, nn.Module]) -> Any:
    """A block of its own with some parts replaced; all other parts are shared, the original is untouched."""
    twin = copy.copy(module)
    twin.__dict__["_modules"] = {**module._modules, **replaced}
    return twin


def _host_chunk(op: Attention, rows: Tensor, moments: Moments, key: Tensor, value: Tensor) -> Tensor:
    norm, _, k, v = op.parts
    twin = _copy(op.module, {norm: FixedNorm(op.norm, moments), k: _Given(key), v: _Given(value)})
    out: Tensor = twin(rows)
    return out


def _own_chunk(op: Attention, rows: Tensor, moments: Moments, key: Tensor, value: Tensor) -> Tensor:
    normed = normalise(rows, moments, op.norm)
    query = _project(op, op.parts[1], normed)
    if op.parts[1] == "to_q":
        heads = int(op.module.heads)
        q, k, v = (t.view(*t.shape[:2], heads, -1).transpose(1, 2) for t in (query, key, value))
        tokens = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        out: Tensor = op.module.to_out[0](tokens).transpose(1, 2).reshape(rows.shape)
        kept = rows if op.module.residual_connection else 0
        return (out + kept) / float(op.module.rescale_output_factor)
    q, k, v = (t.flatten(2).transpose(1, 2)[:, None] for t in (query, key, value))  # torch's lean code wants heads
    tokens = F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2).reshape(query.shape)
    added: Tensor = rows + op.module.proj_out(tokens)
    return added


def _host_can(op: Attention, like: Tensor) -> bool:
    """Tries the host's forward on a small map: whole and in chunks must be the same."""
    if like.is_meta:
        return True
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, like.shape[1], *PROBE, generator=generator).to(like)
    moments = measure(x, op.groups)

    def rows_of(lo: int, hi: int) -> Tensor:
        return x[..., lo:hi, :]

    try:
        whole = op.module(x)
        key, value = _keys(op, rows_of, PROBE, moments, (PROBE[0], 1))
        parts = [_host_chunk(op, rows_of(lo, lo + 1), moments, key, value) for lo in range(PROBE[0])]
        chunked = torch.cat(parts, dim=-2)
    except CANNOT:
        return False
    tolerance = 1e-4 if like.element_size() >= 4 else 3e-2
    return chunked.shape == whole.shape and bool(torch.allclose(chunked, whole, rtol=tolerance, atol=tolerance))
