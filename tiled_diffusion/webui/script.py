"""The script that the WebUI runs for every job: the order of events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.panel import PanelSettings, merge
from tiled_diffusion.ui.panel import Panel, PanelHost, build_panel

from . import infotext, upscale, xyz
from .hosts import a1111 as host
from .prompts import networks_of_regions
from .region_texts import RegionTexts
from .run import RUN, TITLE, WRAPPED, Run, guard, refuse, refuse_sampling, run_of
from .sampling import attach, grid_seed
from .scope import unwrap, wrap

PEER = "multidiffusion-upscaler-for-automatic1111"


class TiledDiffusionScript(host.Script):  # type: ignore[misc]
    """Tiled Diffusion's panel and its part in every job."""

    def title(self) -> str:
        """The name, also in the API."""
        return TITLE

    def show(self, is_img2img: bool) -> Any:  # noqa: ARG002 in both tabs
        """Always there."""
        return host.ALWAYS_VISIBLE

    def ui(self, is_img2img: bool) -> list[Any]:
        """Builds the panel; its components are the script's arguments."""
        tab = "img2img" if is_img2img else "txt2img"
        method = host.option("tiled_diffusion_method", "mixture")
        panel = build_panel(
            tab, PanelHost(host.accordion, host.upscalers(), method if method in METHODS else "mixture")
        )
        self.control_names = tuple(panel.controls)
        self._paste_fields(panel)
        return panel.args

    def _paste_fields(self, panel: Panel) -> None:
        self.infotext_fields = infotext.fields(panel)
        self.paste_field_names = [infotext.KEY]

    def before_process(self, p: Any, enabled: Any = False, value: Any = None, *controls: Any) -> None:
        """Drops what an earlier use of the job left; reads the settings, and sets the picture's size for all to see."""
        p.__dict__.pop(RUN, None)
        for name in WRAPPED:
            unwrap(p, name, TITLE)
        upscale.restore(p)
        if not enabled:
            return
        try:
            p.__dict__[RUN] = self._begun(p, value, controls)
        except Exception as e:  # noqa: BLE001 the host would only report it, and draw
            p.__dict__[RUN] = e

    def _begun(self, p: Any, value: Any, controls: tuple[Any, ...]) -> Run:
        job = xyz.applied(p, merge(value, dict(zip(self.control_names, controls, strict=False))))
        peer = _peer(p)
        if peer is not None:
            raise TiledError(f"{peer} is switched on too, and would tile these tiles again: switch one of the two off")
        if self.is_img2img:
            upscale.enlarge_input(p, job)
        else:
            upscale.set_size(p, job)
        run = Run(job, RegionTexts(job.tiling))
        wrap(p, "setup_prompts", TITLE, _then(lambda: run.texts.send(p)))
        return run

    def process(self, p: Any, *args: Any) -> None:  # noqa: ARG002
        """Wraps what the host calls next, so that a wrong job stops and a broken one leaves nothing behind."""
        run = p.__dict__.get(RUN)
        if isinstance(run, Run):
            wrap(p, "init", TITLE, _first(lambda: _arrived(p)))
            guard(p)
        elif isinstance(run, Exception):
            refuse(p, run)

    def before_process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Adds the regions' LoRAs to the batch."""
        run = run_of(p)
        if run is None or not p.prompts:
            return
        tags = networks_of_regions(run.texts, p.prompts[0], p.iteration * p.batch_size)
        p.prompts[0] += "".join(f" <{kind}:{':'.join(t.items)}>" for kind, found in tags.items() for t in found)

    def process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Adds the regions' LoRAs to the hires pass."""
        run = run_of(p)
        data = getattr(p, "hr_extra_network_data", None)
        if run is None or data is None or data is getattr(p, "extra_network_data", None):
            return
        first = p.iteration * p.batch_size
        for kind, found in networks_of_regions(run.texts, p.all_hr_prompts[first], first).items():
            data.setdefault(kind, []).extend(found)

    def process_before_every_sampling(self, p: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Puts tiles under a sampler that is about to begin."""
        run = run_of(p)
        if run is None:
            return
        run.end()
        try:
            attach(p, run, kwargs["x"], kwargs["noise"])
        except Exception as e:  # noqa: BLE001 the host would only report it, and draw
            run.end()
            refuse_sampling(p, e)


def _arrived(p: Any) -> None:
    """All prompts are as they will be drawn: takes the regions' out of them, and writes the record."""
    run = run_of(p)
    if run is None or run.texts.prompts:
        return
    run.texts.receive(p)
    if run.texts.lost:
        p.comment(f"{TITLE}: an extension that rewrites prompts has dropped the regions': theirs hold as written")
    tags = networks_of_regions(run.texts, "", 0)
    if tags:
        names = ", ".join(f"{kind}:{tag.items[0]}" for kind, found in tags.items() for tag in found)
        p.comment(f"{TITLE}: {names} stands in a region's prompt, but acts on the whole picture")
    infotext.write(p, [_record(p, run, image) for image in range(len(p.all_prompts))])


def _record(p: Any, run: Run, image: int) -> PanelSettings:
    """The job that draws one of the pictures alone."""
    tiling = run.texts.resolved(image)
    if image > 0 and METHODS[tiling.method].moves:
        tiling = replace(tiling, grid_seed=grid_seed(p, tiling))
    return replace(run.job, tiling=tiling)


def _first(action: Callable[[], None]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            action()
            return original(*args, **kwargs)

        return wrapper

    return around


def _then(action: Callable[[], None]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            action()
            return result

        return wrapper

    return around


def _peer(p: Any) -> str | None:
    """The name of another tiling extension that is switched on in this job."""
    for script in getattr(p.scripts, "alwayson_scripts", []):
        folder = str(getattr(script, "filename", "")).lower()
        if PEER in folder and "tilediffusion" in folder:
            args = (p.script_args or ())[script.args_from : script.args_to]
            if args and args[0] is True:
                return PEER
    return None
