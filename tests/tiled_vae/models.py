"""A tiny VAE with the attribute layout of ldm, sgm and Forge, written for these tests; and one from diffusers."""

import torch
import torch.nn.functional as F
from torch import nn


def norm(c, groups):
    return nn.GroupNorm(groups, c, eps=1e-6)


class Block(nn.Module):
    def __init__(self, a, b, groups):
        super().__init__()
        self.norm1, self.conv1 = norm(a, groups), nn.Conv2d(a, b, 3, padding=1)
        self.norm2, self.conv2 = norm(b, groups), nn.Conv2d(b, b, 3, padding=1)
        if a != b:
            self.nin_shortcut = nn.Conv2d(a, b, 1)

    def forward(self, x, temb=None):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class Attn(nn.Module):
    """Rows of queries may be fewer than rows of keys unless `strict`."""

    def __init__(self, c, groups, strict=False):
        super().__init__()
        self.norm = norm(c, groups)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(c, c, 1) for _ in range(4))
        self.strict = strict

    def forward(self, x):
        h = self.norm(x)
        q, k, v = self.q(h), self.k(h), self.v(h)
        if self.strict:
            k, v = k.reshape(q.shape), v.reshape(q.shape)
        tq, tk, tv = (t.flatten(2).transpose(1, 2) for t in (q, k, v))
        w = torch.softmax(tq @ tk.transpose(1, 2) * q.shape[1] ** -0.5, dim=-1)
        return x + self.proj_out((w @ tv).transpose(1, 2).reshape(q.shape))


class Upsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Downsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


def middle(c, groups, strict):
    mid = nn.Module()
    mid.block_1, mid.attn_1, mid.block_2 = Block(c, c, groups), Attn(c, groups, strict), Block(c, c, groups)
    return mid


class Decoder(nn.Module):
    def __init__(self, channels=(4, 8, 8), blocks=2, groups=4, strict=False):
        super().__init__()
        c = channels[-1]
        self.conv_in = nn.Conv2d(4, c, 3, padding=1)
        self.mid = middle(c, groups, strict)
        ups = []
        for i in reversed(range(len(channels))):
            level = nn.Module()
            level.block, level.attn = nn.ModuleList(), nn.ModuleList()
            for _ in range(blocks):
                level.block.append(Block(c, channels[i], groups))
                c = channels[i]
            if i:
                level.upsample = Upsample(c)
            ups.insert(0, level)
        self.up = nn.ModuleList(ups)
        self.norm_out, self.conv_out = norm(c, groups), nn.Conv2d(c, 3, 3, padding=1)

    def forward(self, z):
        h = self.mid.block_2(self.mid.attn_1(self.mid.block_1(self.conv_in(z))))
        for i in reversed(range(len(self.up))):
            for block in self.up[i].block:
                h = block(h)
            if i:
                h = self.up[i].upsample(h)
        return self.conv_out(F.silu(self.norm_out(h)))


class Encoder(nn.Module):
    def __init__(self, channels=(4, 8, 8), blocks=1, groups=4, strict=False):
        super().__init__()
        c = channels[0]
        self.conv_in = nn.Conv2d(3, c, 3, padding=1)
        self.down = nn.ModuleList()
        for i in range(len(channels)):
            level = nn.Module()
            level.block, level.attn = nn.ModuleList(), nn.ModuleList()
            for _ in range(blocks):
                level.block.append(Block(c, channels[i], groups))
                c = channels[i]
            if i < len(channels) - 1:
                level.downsample = Downsample(c)
            self.down.append(level)
        self.mid = middle(c, groups, strict)
        self.norm_out, self.conv_out = norm(c, groups), nn.Conv2d(c, 8, 3, padding=1)

    def forward(self, x):
        h = self.conv_in(x)
        for i, level in enumerate(self.down):
            for block in level.block:
                h = block(h)
            if i < len(self.down) - 1:
                h = level.downsample(h)
        h = self.mid.block_2(self.mid.attn_1(self.mid.block_1(h)))
        return self.conv_out(F.silu(self.norm_out(h)))


class Vae(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.encoder, self.decoder = Encoder(**options), Decoder(**options)

    def decode(self, z):
        return self.decoder(z)

    def encode(self, x):
        return self.encoder(x)


def tiny(dtype=torch.float64, **options):
    torch.manual_seed(0)
    return Vae(**options).to(dtype).eval().requires_grad_(False)


def tiny_diffusers(dtype=torch.float64, layers=1):
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    down, up = ["DownEncoderBlock2D"] * 2, ["UpDecoderBlock2D"] * 2
    vae = AutoencoderKL(
        block_out_channels=(4, 8) if layers else (8, 8), layers_per_block=layers, norm_num_groups=2, down_block_types=down, up_block_types=up
    )
    return vae.to(dtype).eval().requires_grad_(False)


def noise(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)
