"""HTTP routes of the pages: figures of the plan, lengths of prompts, presets, and frames in photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from tiled_diffusion.engine.describe import Description, describe
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.errors import SettingsError, TiledError
from tiled_diffusion.settings.document import parse_json
from tiled_diffusion.settings.foreign import document_of
from tiled_diffusion.settings.panel import PASSES, PanelSettings, merge
from tiled_diffusion.settings.presets import NotFoundError, Presets
from tiled_diffusion.settings.quoting import quoted

from .frame_view import looked_at
from .last_jobs import JobKind, LastJobs, inverted_steps, ways_of

BASE = "/tiled-diffusion"
MOST_BYTES = 4 * 2**20
MOST_TEXTS, MOST_TEXT = 16, 20000
HIRES = "hires fix"
WAYS = ("", "img2img", HIRES)
"""Of what a panel's job is a part; nothing is txt2img."""

Counter = Callable[[str], tuple[int | str, int | str]]
"""Tokens of a prompt, and how many fit into as many chunks as it takes; "-" where no model is loaded."""


def add_routes(
    app: FastAPI,
    presets: Presets,
    model_size: Callable[[], ModelTraits],
    tokens: Counter,
    dependencies: Sequence[Any] = (),
    jobs: LastJobs | None = None,
) -> None:
    """Adds the routes to an application.

    Args:
        app: a FastAPI application.
        presets: where presets are kept.
        model_size: what the loaded model likes.
        tokens: how the loaded model counts.
        dependencies: of FastAPI, for instance a log-in that the rest of the application asks for.
        jobs: the last ones of this program, where it remembers them.
    """
    last = jobs or LastJobs()

    async def plan(request: Request) -> Any:
        return _plan(await _object(request), model_size, last)

    async def lengths(request: Request) -> Any:
        return {"counts": [tokens(text) for text in _texts((await _object(request)).get("texts"))]}

    async def frame(request: Request) -> Any:
        return await run_in_threadpool(looked_at, await _object(request))

    routes = [("/plan", "POST", plan), ("/tokens", "POST", lengths), ("/import", "POST", _imported)]
    routes.append(("/frame", "POST", frame))
    for path, method, answer in routes + _preset_routes(presets):
        app.add_api_route(BASE + path, _guarded(answer), methods=[method], dependencies=list(dependencies))


def _plan(data: dict[str, Any], model_size: Callable[[], ModelTraits], jobs: LastJobs) -> Any:
    controls = data.get("controls", {})
    if not isinstance(controls, dict):
        raise SettingsError(f"controls: got {quoted(controls)}, allowed is a JSON object {{...}}")
    job = merge(data.get("settings"), controls)
    width, height = (_size(name, data.get(name)) for name in ("width", "height"))
    if not data.get("fixed_size"):
        width, height = job.width or width, job.height or height
    plan = describe(job.tiling, width, height, model_size())
    known = jobs.like(kind_of(plan, (width, height), panel_ways(job, _way(data.get("way")))), data.get("steps"))
    more = [_inversion(job), known and known.line()]
    return {**plan.to_dict(), "more": [text for text in more if text]}


def kind_of(plan: Description, size: tuple[int, int], ways: tuple[str, ...] = ()) -> JobKind:
    """What a plan's jobs are like; `size` is the picture's width and height, image pixels."""
    return JobKind(size, plan.tile, plan.rows, ways)


def panel_ways(job: PanelSettings, way: str) -> tuple[str, ...]:
    """What makes a panel's job take another time than plain txt2img; `way` is one of WAYS."""
    if way == HIRES and job.passes != "both":
        way = f"{HIRES}, {PASSES.to_page(job.passes).lower()} in tiles"
    return ways_of(way, job.growth if job.grow else None, job.kept if way else None)


def _way(value: object) -> str:
    if value not in (None, *WAYS):
        raise SettingsError(f"way: got {quoted(value)}, allowed is one of {', '.join(map(repr, WAYS))}")
    return str(value or "")


def _inversion(job: PanelSettings) -> str:
    """What the noise inversion adds to the sampling's steps."""
    return f"the inversion adds {inverted_steps(job.kept)}, without the negative prompt" if job.kept else ""


def _preset_routes(presets: Presets) -> list[tuple[str, str, Callable[[Request], Any]]]:
    async def listing(request: Request) -> Any:  # noqa: ARG001
        return presets.listing()

    async def read(request: Request) -> Any:
        return presets.read(request.path_params["name"])

    async def save(request: Request) -> Any:
        presets.save(request.path_params["name"], await _object(request))
        return {}

    async def delete(request: Request) -> Any:
        presets.delete(request.path_params["name"])
        return {}

    async def rename(request: Request) -> Any:
        presets.rename(request.path_params["name"], (await _object(request)).get("to"))
        return {}

    return [
        ("/presets", "GET", listing),
        ("/presets/{name}", "GET", read),
        ("/presets/{name}", "PUT", save),
        ("/presets/{name}", "DELETE", delete),
        ("/presets/{name}/rename", "POST", rename),
    ]


async def _imported(request: Request) -> Any:
    return document_of(await _object(request))


def _guarded(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Errors a user can act on become an answer with their text: 404 for what is not there, else 422."""

    async def route(request: Request) -> JSONResponse:
        try:
            return JSONResponse(await answer(request))
        except NotFoundError as e:
            return JSONResponse({"detail": str(e)}, status_code=404)
        except TiledError as e:
            return JSONResponse({"detail": str(e)}, status_code=422)

    route.__annotations__ = {"request": Request}
    return route


async def _object(request: Request) -> dict[str, Any]:
    body = await request.body()
    if len(body) > MOST_BYTES:
        raise SettingsError(f"request: got {len(body)} bytes, allowed are at most {MOST_BYTES}")
    data = parse_json(body, "request")
    if not isinstance(data, dict):
        raise SettingsError(f"request: got {type(data).__name__}, allowed is a JSON object {{...}}")
    return data


def _texts(value: object) -> list[str]:
    texts = [t for t in value if isinstance(t, str) and len(t) <= MOST_TEXT] if isinstance(value, list) else []
    if not isinstance(value, list) or len(texts) < len(value) or len(texts) > MOST_TEXTS:
        raise SettingsError(f"texts: allowed is a list of at most {MOST_TEXTS} texts of at most {MOST_TEXT} characters")
    return texts


def _size(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 8 <= value <= 131072:
        raise SettingsError(f"{name}: got {quoted(value)}, allowed is a number of pixels from 8 to 131072")
    return int(value)
