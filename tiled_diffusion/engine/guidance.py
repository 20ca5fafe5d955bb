"""What each job is evaluated with: the parts of its prompt, its negative prompt and its guidance.

Prediction of a job: u + s * sum_j v_j (c_j - u), u the negative prompt's, c_j the parts', s the CFG scale
(Ho and Salimans, arXiv 2207.12598; several parts: Liu et al., arXiv 2206.01714).
"""

from __future__ import annotations

from dataclasses import dataclass

from tiled_diffusion.settings.values import Settings

from .composition import Part, joined, parts


@dataclass(frozen=True)
class Guidance:
    """How the jobs of one prompt are evaluated.

    Attributes:
        parts: prompts and their weights v.
        negative: the negative prompt.
        scale: s, the CFG scale.
    """

    parts: tuple[Part, ...]
    negative: str
    scale: float

    @property
    def guided(self) -> bool:
        """Whether the negative prompt has to be evaluated: not where the prediction is the one part's own."""
        return self.scale != 1 or len(self.parts) != 1 or self.parts[0].weight != 1

    @property
    def rows(self) -> int:
        """U-Net rows for one tile of one picture."""
        return len(self.parts) + self.guided


def guidances(prompt: str, negative: str, scale: float, settings: Settings) -> tuple[Guidance, ...]:
    """By a job's prompt number: 0 the main one, k the k-th region's.

    Args:
        prompt: the main one.
        negative: the main negative prompt.
        scale: the main CFG scale.
        settings: the regions.
    """
    out = [Guidance(parts(prompt), negative, scale)]
    for region in settings.regions:
        own = joined(prompt, region.prompt, region.join)
        against = negative
        if region.negative_prompt is not None:
            against = joined(negative, region.negative_prompt, region.join)
        out.append(Guidance(parts(own), against, scale if region.cfg_scale is None else region.cfg_scale))
    return tuple(out)
