"""Reads a host's encoder or decoder (ldm, sgm, Forge or diffusers attribute names) into a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import TiledVaeError
from .program import Act, Add, Attention, Conv, Down, Keep, Norm, Op, Program, Up, segments_of


def read_decoder(decoder: Any) -> Program:
    """The program of a decoder.

    Raises:
        TiledVaeError: the layout is unknown; names the attribute that was missed or is not as expected.
    """
    names = _names(decoder, "decoder", "up", "up_blocks")
    start: list[Op] = [_conv(names.net, "conv_in")]
    middle = start + list(_middle(names))
    ops = middle + [op for level in _levels(names, "up") for op in level] + _end(names)
    ups = sum(isinstance(op, Up) for op in ops)
    program = Program(segments_of(ops, range(len(middle))), int(decoder.conv_in.in_channels), factor=2**ups)
    program.tiled = range(sum(s.middle for s in program.segments), len(program.segments))
    program.circular = decoder.conv_in.padding_mode == "circular"
    program.finish = torch.tanh if getattr(decoder, "tanh_out", False) else None
    if getattr(decoder, "give_pre_end", False):
        raise TiledVaeError("this decoder has give_pre_end set: it returns no picture, so it is not tiled")
    return program


def read_encoder(encoder: Any) -> Program:
    """The program of an encoder.

    Raises:
        TiledVaeError: the layout is unknown; names the attribute that was missed or is not as expected.
    """
    names = _names(encoder, "encoder", "down", "down_blocks")
    down = [_conv(names.net, "conv_in"), *[op for level in _levels(names, "down") for op in level]]
    ops = down + list(_middle(names)) + _end(names)
    downs = sum(isinstance(op, Down) for op in ops)
    program = Program(segments_of(ops, range(len(down), len(ops))), int(encoder.conv_in.in_channels), factor=2**downs)
    program.tiled = range(sum(not s.middle for s in program.segments))
    program.encodes, program.hoards = True, not names.diffusers
    program.circular = encoder.conv_in.padding_mode == "circular"
    return program


class _Names:
    """A network and which of the two attribute layouts it has."""

    def __init__(self, net: Any, what: str, diffusers: bool) -> None:
        self.net = net
        self.what = what
        self.diffusers = diffusers


def _names(net: Any, what: str, ldm: str, diffusers: str) -> _Names:
    if hasattr(net, diffusers):
        return _Names(net, what, True)
    if hasattr(net, ldm):
        return _Names(net, what, False)
    raise TiledVaeError(
        f"{type(net).__name__} is not a known {what}: it has neither {ldm!r} (ldm, sgm, Forge) "
        f"nor {diffusers!r} (diffusers)"
    )


def _get(module: Any, name: str) -> Any:
    part = getattr(module, name, None)
    if part is None:
        raise TiledVaeError(f"{type(module).__name__} has no {name!r}: not a known VAE layout")
    return part


def _conv(module: Any, name: str) -> Conv:
    conv = _get(module, name)
    if getattr(conv, "kernel_size", ()) not in ((3, 3), (1, 1)) or tuple(conv.stride) != (1, 1):
        raise TiledVaeError(f"{type(module).__name__}.{name} is not a 3x3 or 1x1 convolution of stride 1: {conv}")
    if conv.padding not in (conv.kernel_size[0] // 2, (conv.kernel_size[0] // 2,) * 2):
        raise TiledVaeError(f"{type(module).__name__}.{name} changes the size of its input: {conv}")
    return Conv(conv)


def _norm(module: Any, name: str, act: Act) -> Norm:
    norm = _get(module, name)
    _check_norm(norm, f"{type(module).__name__}.{name}")
    return Norm(norm, act)


def _check_norm(norm: Any, place: str) -> None:
    if not all(hasattr(norm, part) for part in ("num_groups", "eps", "weight", "bias")):
        raise TiledVaeError(f"{place} is a {type(norm).__name__}; only GroupNorm is known")


def _silu(x: Tensor) -> Tensor:
    return F.silu(x, inplace=True)


def _act(module: Any) -> Act:
    """The block's own activation; SiLU, also where the layout has none to ask, runs in place."""
    return module if isinstance(module, nn.Module) and not isinstance(module, nn.SiLU) else _silu


def _resnet(block: Any) -> list[Op]:
    for name in ("time_emb_proj", "temb_proj", "upsample", "downsample"):
        if getattr(block, name, None) is not None and getattr(block, "in_channels", None) is not None:
            raise TiledVaeError(f"{type(block).__name__}.{name} is set; VAE blocks with it are not known")
    act = _act(getattr(block, "nonlinearity", None))
    shortcut = getattr(block, "nin_shortcut", None)
    if shortcut is None:
        shortcut = getattr(block, "conv_shortcut", None)
    if shortcut is not None and tuple(shortcut.kernel_size) != (1, 1):
        raise TiledVaeError(f"the shortcut of {type(block).__name__} is {shortcut}; only a 1x1 convolution is known")
    scale = float(getattr(block, "output_scale_factor", 1.0))
    first, second = _norm(block, "norm1", act), _norm(block, "norm2", act)
    return [Keep(), first, _conv(block, "conv1"), second, _conv(block, "conv2"), Add(shortcut, scale)]


def _attention(block: Any) -> Attention:
    parts = ("group_norm", "to_q", "to_k", "to_v") if hasattr(block, "to_q") else ("norm", "q", "k", "v")
    for name in parts:
        _get(block, name)
    norm = getattr(block, parts[0])
    _check_norm(norm, f"{type(block).__name__}.{parts[0]}")
    return Attention(block, norm, parts)


def _middle(names: _Names) -> Iterator[Op]:
    if names.diffusers:
        middle = _get(names.net, "mid_block")
        resnets = list(_get(middle, "resnets"))
        attentions = list(_get(middle, "attentions"))
    else:
        middle = _get(names.net, "mid")
        resnets = [_get(middle, "block_1"), _get(middle, "block_2")]
        attentions = [_get(middle, "attn_1")]
    yield from _resnet(resnets[0])
    for attention, resnet in zip(attentions, resnets[1:], strict=True):
        if attention is not None and not isinstance(attention, nn.Identity):
            yield _attention(attention)
        yield from _resnet(resnet)


def _levels(names: _Names, way: str) -> Iterator[list[Op]]:
    """The blocks of each resolution in the order in which they run."""
    if names.diffusers:
        levels = list(_get(names.net, f"{way}_blocks"))
    else:
        levels = list(_get(names.net, way))
        if way == "up":
            levels.reverse()
    for i, level in enumerate(levels):
        blocks = _get(level, "resnets" if names.diffusers else "block")
        for name in ("attn", "attentions"):
            if len(getattr(level, name, None) or ()):
                raise TiledVaeError(f"{type(level).__name__}.{name} is not empty: attention outside the middle block")
        ops = [op for block in blocks for op in _resnet(block)]
        sampler = _sampler(names, level, way)
        if sampler is None and not names.diffusers and i < len(levels) - 1:
            _get(level, f"{way}sample")
        yield ops + ([] if sampler is None else [_resample(sampler, way)])


def _sampler(names: _Names, level: Any, way: str) -> Any:
    if not names.diffusers:
        return getattr(level, f"{way}sample", None)
    samplers = getattr(level, f"{way}samplers", None)
    if samplers and len(samplers) > 1:
        raise TiledVaeError(f"{type(level).__name__}.{way}samplers has {len(samplers)} entries; 1 is known")
    return samplers[0] if samplers else None


def _resample(sampler: Any, way: str) -> Op:
    conv = _get(sampler, "conv")
    stride, padding = ((1, 1), (1, 1)) if way == "up" else ((2, 2), (0, 0))
    if (tuple(conv.kernel_size), tuple(conv.stride), tuple(conv.padding)) != ((3, 3), stride, padding):
        raise TiledVaeError(f"{type(sampler).__name__}.conv is {conv}; a 3x3 convolution, stride {stride}, is known")
    return Up(sampler) if way == "up" else Down(sampler)


def _end(names: _Names) -> list[Op]:
    norm = "conv_norm_out" if names.diffusers else "norm_out"
    return [_norm(names.net, norm, _act(getattr(names.net, "conv_act", None))), _conv(names.net, "conv_out")]
