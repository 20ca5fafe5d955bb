"""Small denoisers with known behaviour."""

import torch
import torch.nn.functional as F


def pointwise(x, jobs):
    """Acts per pixel, knows no position."""
    return x * 0.5 + torch.tanh(x)


class ConvNet(torch.nn.Module):
    """Local: three 3x3 convolutions with zero padding."""

    def __init__(self, channels=4, seed=0):
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.weights = [torch.randn(channels, channels, 3, 3, generator=g).double() / 6 for _ in range(3)]

    def forward(self, x, jobs=None):
        for w in self.weights:
            x = torch.tanh(F.conv2d(x, w.to(x.dtype), padding=1))
        return x


class Global(ConvNet):
    """Every output depends on the whole input, as with attention and group norms."""

    def forward(self, x, jobs=None):
        y = super().forward(x)
        return y + y.mean(dim=(-2, -1), keepdim=True) + torch.softmax(x.flatten(2), -1).reshape(x.shape)


class Counter:
    """Counts calls and rows of another denoiser."""

    def __init__(self, model):
        self.model, self.calls, self.rows, self.tiles = model, 0, 0, []

    def __call__(self, x, jobs):
        self.calls += 1
        self.rows += x.shape[0]
        self.tiles += jobs
        return self.model(x, jobs)
