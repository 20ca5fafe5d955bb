"""The training of the U-Net and the text encoder, together."""

from __future__ import annotations

import argparse
import random
import time
from typing import Any

import torch
from torch import Tensor

from training.diffusion import alphas_bar, load_average, noised, update_average
from training.latents import Latents
from training.models import build_text, build_unet, sampled, start_weights
from training.muon import Muon
from training.processes import (
    average_gradients,
    blended,
    join_processes,
    launch,
    learning_rate,
    share_weights,
    shared_progress,
)
from training.state import WORK, log, save_state
from training.tokenizer import encode_texts, load_tokenizer, make_tokenizer

STATE = WORK / "unet.pt"
UNPROMPTED = 0.10
"""Share of the samples that are learnt without their caption."""


class UnetTraining:
    """One process's part."""

    def __init__(self, options: argparse.Namespace, rank: int) -> None:
        self.options, self.rank = options, rank
        tokenizer = load_tokenizer()
        self.data = Latents(tokenizer)
        log("latents:", self.data.refresh())
        self.empty = encode_texts(tokenizer, [""]).long()
        self.unet, self.text = build_unet(), build_text(len(tokenizer))
        if options.start:
            start_weights(options.start, self.unet, self.text)
        self.unet.to(options.device)
        self.text.to(options.device)
        self.params = [*self.unet.parameters(), *self.text.parameters()]
        self.step, self.samples, self.done = 0, 0, 0.0
        resumed = self.resumed()
        share_weights(self.params, options.procs)
        named = [*self.unet.named_parameters(), *self.text.named_parameters()]
        self.optimiser = Muon(named, options.procs, rank)
        self.average = [p.detach().clone() for p in self.params]
        if resumed:
            self.optimiser.load_state_dict(resumed["opt"])
            load_average(self.average, resumed["ema"])
        self.signal = alphas_bar().to(options.device)
        self.random = random.Random(options.seed * 991 + rank + self.step)
        torch.manual_seed(options.seed * 991 + rank + self.step)
        self.first_step, self.first_sample = self.step, self.samples
        self.figures: tuple[float, ...] = ()

    def resumed(self) -> dict[str, Any] | None:
        """Loads the weights and counts of the saved state, and returns it."""
        if not (self.options.resume and STATE.exists()):
            return None
        state = torch.load(STATE, map_location=self.options.device)
        self.unet.load_state_dict(state["unet"])
        self.text.load_state_dict(state["text"])
        self.step, self.samples = state["step"], state["samples"]
        self.done = 0.0 if self.options.again else state["progress"]
        return state

    def run(self) -> None:
        """Trains until the minutes are over."""
        start = last = saved = time.time()
        options = self.options
        while (progress := shared_progress(start, options.minutes, options.procs, self.done)) < 1:
            rate = learning_rate(progress, self.step - self.first_step, options.lr or 2e-3, 100)
            moments, ids = self.data.batch(options.batch, self.random)
            self.train_on(moments, ids, rate)
            if time.time() - last > 30:
                last, pictures = time.time(), self.data.refresh()
                if self.rank == 0:
                    self.report(rate, last - start, pictures)
                if self.rank == 0 and last - saved > 100:
                    saved = last
                    self.save(progress)
        if self.rank == 0:
            self.save(1.0)
            log("unet done, steps", self.step, "samples", self.samples)

    def train_on(self, moments: Tensor, ids: Tensor, rate: float) -> None:
        """One step."""
        options = self.options
        ids[torch.rand(len(ids)) < UNPROMPTED] = self.empty
        ids = ids.to(options.device)
        x, t, noise = noised(sampled(moments.to(options.device).float()), self.signal)
        with torch.autocast(options.device, torch.bfloat16, enabled=options.amp):
            prediction = self.unet(x, t, self.text(ids)[0]).sample
        error = ((prediction.float() - noise) ** 2).mean((1, 2, 3))
        snr = self.signal[t] / (1 - self.signal[t])
        loss = (torch.clamp(5 / snr, max=1) * error).mean() / 0.6  # min-SNR-5 weights for eps prediction
        loss.backward()
        for p in self.params:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        average_gradients(self.params, options.procs)
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.optimiser.step(rate)
        self.optimiser.zero_grad()
        self.step += 1
        self.samples += len(ids) * options.procs
        keep = options.ema if options.start else min(options.ema, (1 + self.step) / (10 + self.step))
        update_average(self.average, self.params, keep)
        share = max(0.005, 1 / (self.step - self.first_step))
        self.figures = blended(self.figures, (float(error.detach().mean()), float(loss.detach())), share)

    def report(self, rate: float, seconds: float, pictures: int) -> None:
        """A line of the log."""
        error, weighted = self.figures
        speed = (self.samples - self.first_sample) / seconds
        log(
            f"unet step {self.step} samples {self.samples} ({speed:.1f}/s) eps-mse {error:.4f}",
            f"weighted {weighted:.4f} lr {rate:.2e} pictures {pictures}",
        )

    def save(self, progress: float) -> None:
        """So that --resume can go on from here."""
        models = {"unet": self.unet.state_dict(), "text": self.text.state_dict(), "ema": self.average}
        counts = {"step": self.step, "samples": self.samples, "progress": progress}
        save_state({**models, "opt": self.optimiser.state_dict(), **counts}, STATE)


def train_unet(rank: int, options: argparse.Namespace, port: int) -> None:
    """The work of one process."""
    join_processes(rank, options, port)
    UnetTraining(options, rank).run()


def stage_unet(options: argparse.Namespace) -> None:
    """Makes the tokenizer and trains."""
    make_tokenizer(WORK / "tokenizer")
    launch(train_unet, options, 29700)


def load_trained() -> tuple[Any, Any, Any, dict[str, Any]]:
    """Tokenizer, text encoder and U-Net with their averaged weights, and the state."""
    tokenizer = load_tokenizer()
    unet, text = build_unet(), build_text(len(tokenizer))
    state = torch.load(STATE, map_location="cpu")
    load_average([*unet.parameters(), *text.parameters()], state["ema"])
    return tokenizer, text.eval(), unet.eval(), state
