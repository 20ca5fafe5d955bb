"""Prompts to conditioning: a tensor [tokens, channels] that depends on every word, with [a:b:n] and AND."""

import hashlib
import re
from dataclasses import dataclass

import torch

CHANNELS, CHUNK = 4, 3


class SdConditioning(list):
    def __init__(self, prompts, is_negative_prompt=False, width=None, height=None, copy_from=None):
        super().__init__(prompts)
        self.is_negative_prompt, self.width, self.height = is_negative_prompt, width, height


@dataclass
class ScheduledPromptConditioning:
    end_at_step: int
    cond: torch.Tensor


@dataclass
class ComposableScheduledPromptConditioning:
    schedules: list
    weight: float = 1.0


@dataclass
class MulticondLearnedConditioning:
    shape: tuple
    batch: list


def embedded(text):
    """One chunk of tokens for every six words."""
    chunks = 1 + len(text.split()) // 7
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
    return torch.randn(chunks * CHUNK, CHANNELS, generator=torch.Generator().manual_seed(seed))


def schedule(prompt, steps):
    match = re.fullmatch(r"\s*\[([^:\]]*):([^:\]]*):([\d.]+)\]\s*", prompt)
    if not match:
        return [(steps, prompt)]
    when = float(match[3])
    return [(int(when * steps if when < 1 else when), match[1]), (steps, match[2])]


def get_multicond_prompt_list(prompts):
    flat = [part.strip() for prompt in prompts for part in re.split(r"\bAND\b", prompt)]
    return [], SdConditioning(flat), {}


def get_learned_conditioning_prompt_schedules(prompts, base_steps, hires_steps=None, use_old_scheduling=False):
    return [schedule(prompt, base_steps) for prompt in prompts]


def get_learned_conditioning(model, prompts, steps, hires_steps=None, use_old_scheduling=False):
    count = hires_steps or steps
    return [[ScheduledPromptConditioning(end, model.encoded(t)) for end, t in schedule(p, count)] for p in prompts]


def get_multicond_learned_conditioning(model, prompts, steps, hires_steps=None, use_old_scheduling=False):
    batch = []
    for prompt in prompts:
        parts = []
        for text in re.split(r"\bAND\b", prompt):
            match = re.fullmatch(r"(.*?)(?:\s*:\s*([-+]?[\d.]+))?\s*", text, re.DOTALL)
            schedules = get_learned_conditioning(model, [match[1].strip()], steps, hires_steps)[0]
            parts.append(ComposableScheduledPromptConditioning(schedules, float(match[2] or 1)))
        batch.append(parts)
    return MulticondLearnedConditioning((len(prompts),), batch)


def reconstruct_multicond_batch(c, current_step):
    """Indices and weights of each prompt's parts, and the parts' texts, all of the longest one's length."""
    texts, indices = [], []
    for parts in c.batch:
        indices.append([(len(texts) + k, part.weight) for k, part in enumerate(parts)])
        texts += [next((s.cond for s in p.schedules if current_step <= s.end_at_step), p.schedules[0].cond) for p in parts]
    longest = max(t.shape[0] for t in texts)
    return indices, torch.stack([torch.cat([t, t[-1:].expand(longest - t.shape[0], -1)]) for t in texts])
