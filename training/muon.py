"""Muon (momentum, orthogonalised by Newton-Schulz) for inner matrices and convolutions, AdamW for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from training.processes import summed

MOMENTUM = 0.95
BETAS = (0.9, 0.99)
OUTER = ("embed", "conv_in", "conv_out", "quant_conv")
"""Parts of the names of matrices that are AdamW's."""


def orthogonalised(gradient: Tensor, iterations: int = 5) -> Tensor:
    """The nearest orthogonal matrix, roughly, by a quintic Newton-Schulz iteration (Jordan et al., Muon, 2024).

    Its root mean square is that of an AdamW step, so that learning rates mean the same.
    """
    x = gradient.reshape(gradient.shape[0], -1)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return ((x.T if tall else x) * 0.2 * max(x.shape) ** 0.5).reshape(gradient.shape)


def cost(matrix: Tensor) -> int:
    """What orthogonalising takes, up to a factor."""
    return matrix.numel() * min(matrix.shape[0], matrix[0].numel())


def own_share(costs: list[int], procs: int, rank: int) -> set[int]:
    """Which of the matrices a process works on: the dearest first, each to the process that has least to do."""
    own, load = set(), [0.0] * procs
    for i in sorted(range(len(costs)), key=lambda i: -costs[i]):
        idle = load.index(min(load))
        load[idle] += costs[i]
        if idle == rank:
            own.add(i)
    return own


class Muon:
    """The optimiser; the orthogonalisation is shared out among the processes."""

    def __init__(
        self, named: Iterable[tuple[str, nn.Parameter]], procs: int = 1, rank: int = 0, weight_decay: float = 1e-2
    ) -> None:
        named = list(named)
        self.matrices = [p for name, p in named if p.ndim > 1 and not any(part in name for part in OUTER)]
        ids = {id(p) for p in self.matrices}
        rest = [p for _, p in named if id(p) not in ids]
        groups = [
            {"params": [p for p in rest if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0},
        ]
        self.adam = torch.optim.AdamW(groups, betas=BETAS, fused=True)
        self.procs, self.weight_decay = procs, weight_decay
        self.buffers = [torch.zeros_like(p) for p in self.matrices]
        self.own = own_share([cost(p) for p in self.matrices], procs, rank)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Moves the parameters along their gradients, which all processes have in common."""
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        updates = [self._update(i, p.grad) for i, p in enumerate(self.matrices)]
        if self.procs > 1 and updates:
            updates = summed(updates)
        for p, update in zip(self.matrices, updates, strict=True):
            p.mul_(1 - rate * self.weight_decay).sub_(update, alpha=rate)

    def _update(self, i: int, gradient: Tensor) -> Tensor:
        """A matrix's direction; zero where another process works it out."""
        self.buffers[i].lerp_(gradient, 1 - MOMENTUM)
        if i not in self.own:
            return torch.zeros_like(gradient)
        return orthogonalised(gradient.lerp(self.buffers[i], MOMENTUM))

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for p in self.matrices:
            p.grad = None
        self.adam.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """What going on needs."""
        return {"adam": self.adam.state_dict(), "buf": self.buffers}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self.adam.load_state_dict(state["adam"])
        for buffer, saved in zip(self.buffers, state["buf"], strict=True):
            buffer.copy_(saved)
