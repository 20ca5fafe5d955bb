"""Named cases, and running them to a table."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .client import ApiError, Webui


class Skipped(Exception):  # noqa: N818 no error
    """The case cannot be run here; the text says why."""


@dataclass(frozen=True)
class Case:
    """One case: raises where something is wrong, and may return a remark."""

    name: str
    run: Callable[[Webui], str | None]
    flags: tuple[str, ...]
    extensions: tuple[str, ...] = ()


CASES: list[Case] = []


def case(name: str, flags: tuple[str, ...] = (), extensions: tuple[str, ...] = ()) -> Callable:
    """Registers a case; `flags` are of the WebUI that it needs, `extensions` further ones by the folder's name."""

    def add(run: Callable[[Webui], str | None]) -> Callable:
        CASES.append(Case(name, run, flags, extensions))
        return run

    return add


def of_each(names: Iterable[str], check: Callable[[str], object]) -> None:
    """Runs a check for every name, to the last one, and refuses those that failed all together."""
    names, failed = list(names), []
    for name in names:
        try:
            check(name)
        except (AssertionError, ApiError) as e:
            failed.append(f"{name}: {str(e)[:200]}")
    assert not failed, f"{len(failed)} of {len(names)}: " + "; ".join(failed)


def run_all(webui: Webui, cases: list[Case]) -> list[tuple[str, str, float]]:
    """(name, result, seconds) of each case; prints each as it ends."""
    rows = []
    for each in cases:
        begun = time.monotonic()
        try:
            remark = each.run(webui)
            result = "ok" if not remark else f"ok: {remark}"
        except Skipped as e:
            result = f"skipped: {e}"
        except Exception as e:  # noqa: BLE001 the table holds it
            result = f"FAILED: {type(e).__name__}: {str(e)[:2000]}"
            traceback.print_exc()
        rows.append((each.name, result, time.monotonic() - begun))
        print(f"{rows[-1][2]:7.1f} s  {each.name:58} {result}", flush=True)
    return rows
