"""Every kind of job draws what it drew when the digests were recorded."""

import json

import pytest
import torch

from tests.latents import standalone_jobs, webui_jobs
from tests.latents.digest import COMMAND, FILE, digest, machine

RECORD = json.loads(FILE.read_text())
SAME_MACHINE = RECORD["machine"] == machine()
OTHER_MACHINE = 2e-3
"""How far numbers of another processor's kernels may lie off after a few steps, relative to the largest one."""
REORDERED: dict[str, str] = {}
"""Jobs whose additions are done in another order since the record, with the place and the reason: they hold 1e-6."""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("source", [standalone_jobs, webui_jobs], ids=lambda s: s.__name__.split(".")[-1])
def test_jobs_draw_what_they_drew(source):
    wrong, seen = [], 0
    for name, latent in source.latents():
        seen += 1
        recorded, now = RECORD["jobs"][name], digest(latent)
        assert now["shape"] == recorded["shape"], name
        if SAME_MACHINE and name not in REORDERED:
            wrong += [name] if now["sha256"] != recorded["sha256"] else []
            continue
        largest = max(map(abs, recorded["numbers"]))
        off = max(abs(a - b) for a, b in zip(now["numbers"], recorded["numbers"], strict=True))
        wrong += [f"{name}: {off / largest:.1e}"] if off > largest * (1e-6 if SAME_MACHINE else OTHER_MACHINE) else []
    assert not wrong, f"these draw something else; where that is meant, record anew: {COMMAND}"
    assert seen == sum(name.startswith(f"{source.__name__.split('.')[-1].split('_')[0]} ") for name in RECORD["jobs"])


def test_no_two_jobs_are_the_same_by_accident():
    """A job whose settings have no effect would guard nothing."""
    by_digest: dict[str, list[str]] = {}
    for name, recorded in RECORD["jobs"].items():
        by_digest.setdefault(recorded["sha256"], []).append(name)
    assert [names for names in by_digest.values() if len(names) > 1] == [], "jobs with equal latents"
    assert len(RECORD["jobs"]) >= 80
