"""AUTOMATIC1111: its page, its settings, its callbacks and its API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from fastapi import Depends, HTTPException, Request
from modules import paths_internal, script_callbacks, scripts, shared
from modules.ui_components import InputAccordion

from tiled_diffusion.webui.hosts.values import Axis

Script = scripts.Script
ALWAYS_VISIBLE = scripts.AlwaysVisible
JOB_ROUTES = ("/sdapi/v1/txt2img", "/sdapi/v1/img2img")


def before_ui(callback: Callable[[], None]) -> None:
    """Once for each time that the page is built."""
    script_callbacks.on_before_ui(callback)


def on_app_started(callback: Callable[[Any, Any], None]) -> None:
    """After the routes of the API were added."""
    script_callbacks.on_app_started(callback)


def on_ui_settings(callback: Callable[[], None]) -> None:
    """Before the page is built."""
    script_callbacks.on_ui_settings(callback)


def on_infotext_pasted(callback: Callable[[str, dict[str, Any]], None]) -> None:
    """Whatever the callback changes in the parsed record is what fields are filled from."""
    script_callbacks.on_infotext_pasted(callback)


def on_image_saved(callback: Callable[[Any, Path], None]) -> None:
    """The host's name of the file is relative to its working folder."""
    script_callbacks.on_image_saved(lambda params: callback(params.p, Path(params.filename)))


def accordion(label: str, elem_id: str, on: bool) -> Any:
    """The WebUI's own."""
    return InputAccordion(on, label=label, elem_id=elem_id)


def option(name: str, default: Any) -> Any:
    """Asking for one that is not registered would raise."""
    return getattr(shared.opts, name, default)


def add_option(name: str, default: Any, label: str, component: Any = None, arguments: Any = None) -> None:
    """In a section of its own."""
    info = shared.OptionInfo(default, label, component, arguments, section=("tiled_diffusion", "Tiled Diffusion & VAE"))
    shared.opts.add_option(name, info)


def data_folder() -> Path:
    """As --data-dir names it."""
    return Path(paths_internal.data_path)


def log_in(app: Any) -> list[Any]:
    """By the cookie that gradio gives to those who have logged in; since its version 4 the name ends in an id."""
    if not (shared.cmd_opts.gradio_auth or shared.cmd_opts.gradio_auth_path):
        return []

    def current_user(request: Request) -> None:
        own = f"-{app.cookie_id}" if hasattr(app, "cookie_id") else ""
        token = request.cookies.get(f"access-token{own}") or request.cookies.get(f"access-token-unsecure{own}")
        if token not in app.tokens:
            raise HTTPException(401, "not logged in")

    return [Depends(current_user)]


def add_axes(axes: Sequence[Axis]) -> None:
    """To the list that the plot script makes its menus of."""
    module = next((d.module for d in scripts.scripts_data if str(d.path).endswith("xyz_grid.py")), None)
    if module is None:
        return
    known = {option.label for option in module.axis_options}
    for axis in axes:
        if axis.label not in known:
            module.axis_options.append(_axis_option(module, axis))


def _axis_option(module: Any, axis: Axis) -> Any:
    choices = axis.choices
    more = {} if choices is None else {"choices": lambda: list(choices)}
    return module.AxisOption(axis.label, str, lambda p, value, _values: axis.apply(p, value), **more)


def files_by_title(title: str) -> list[str]:
    """The API takes the first script whose title it is, in whichever case; both tabs have the same scripts."""
    runner = getattr(scripts, "scripts_txt2img", None)
    every = getattr(runner, "scripts", [])
    return [str(s.filename) for s in every if str(s.title()).lower() == title.lower()]


def check_requests(app: Any, check: Callable[[Mapping[str, Any]], None]) -> None:
    """At the functions of the two routes, which have parsed the request, and do not say what was wrong with it."""
    for route in app.routes:
        dependant = getattr(route, "dependant", None)
        if getattr(route, "path", "") in JOB_ROUTES and dependant is not None:
            dependant.call = _checked(dependant.call, check)


def _checked(answer: Callable[..., Any], check: Callable[[Mapping[str, Any]], None]) -> Callable[..., Any]:
    @wraps(answer)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for request in (*args, *kwargs.values()):
            check(getattr(request, "alwayson_scripts", None) or {})
        return answer(*args, **kwargs)

    return checked
