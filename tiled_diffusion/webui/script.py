"""The script that the WebUI runs for every job: the order of events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.panel import PanelSettings, merge, panel_settings_from_dict
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.ui.panel import PanelHost, build_panel

from . import upscale, xyz
from .arguments import arguments
from .growth import APART, check_growth, grow
from .hosts import Script, host, require_known_host
from .hosts.port import Job
from .infotext import DIFFUSION as RECORD
from .infotext import diffusion_fields
from .pictures import folders
from .prompts import NETWORK, has_networks, names_of, networks_of_regions
from .region_texts import RegionTexts
from .run import HOLD, RUN, TITLE, WRAPPED, Run, failing, guard, refuse, run_of
from .sampling import attach, grid_seed
from .scope import unwrap, wrap
from .styles import with_styles
from .timing import begin, remember

PEER = "multidiffusion-upscaler-for-automatic1111"
BUILT_IN = "MultiDiffusion Integrated"
"""Title of the tiles that Forge and reForge have themselves."""


class TiledDiffusionScript(Script):  # type: ignore[misc]
    """Tiled Diffusion's panel and its part in every job."""

    def title(self) -> str:
        """The name, also in the API."""
        return TITLE

    def show(self, is_img2img: bool) -> Any:  # noqa: ARG002 in both tabs
        """Always there."""
        return host.page.ALWAYS_VISIBLE

    def ui(self, is_img2img: bool) -> list[Any]:
        """Builds the panel; its components are the script's arguments."""
        tab = "img2img" if is_img2img else "txt2img"
        method = host.page.option("tiled_diffusion_method", "mixture")
        panel = build_panel(
            tab, PanelHost(_accordion, host.jobs.upscalers(), method if method in METHODS else "mixture")
        )
        self.control_names = tuple(panel.controls)
        self.infotext_fields = diffusion_fields(panel)
        self.paste_field_names = [RECORD.key]
        return panel.args

    def before_process(self, p: Job, enabled: Any = False, value: Any = None, *controls: Any) -> None:
        """Drops what an earlier use of the job left; reads the settings, and sets the picture's size for all to see."""
        p.__dict__.pop(RUN, None)
        for name in WRAPPED:
            unwrap(p, name, TITLE)
        upscale.restore(p)
        RECORD.drop(p)
        try:
            on, settings = arguments(p, TITLE, enabled, value)
            if APART in p.__dict__:
                p.__dict__[RUN] = self._sending(p, p.__dict__[APART])
            elif HOLD in p.__dict__:
                p.__dict__[RUN] = Run(PanelSettings(), RegionTexts(Settings()), hold=p.__dict__[HOLD])
            elif on:
                begin()
                p.__dict__[RUN] = self._begun(p, settings, controls)
            else:
                xyz.DIFFUSION.say_if_idle(p)
        except Exception as e:  # noqa: BLE001 the host would only report it, and draw
            p.__dict__[RUN] = e

    def _begun(self, p: Job, settings: Any, controls: tuple[Any, ...]) -> Run:
        require_known_host()
        job = merge(settings, dict(zip(self.control_names, controls, strict=False)))
        cell = xyz.DIFFUSION.values(p)
        if cell:
            job = panel_settings_from_dict({**job.to_dict(), **cell})
        rival = _rival(p)
        if rival:
            raise TiledError(f"{rival} is switched on too, and would tile these tiles again: switch one of the two off")
        if job.grow:
            check_growth(p, img2img=self.is_img2img)
        if self.is_img2img:
            upscale.enlarge_input(p, job)
        else:
            upscale.set_size(p, job)
        return self._sending(p, job)

    def _sending(self, p: Job, job: PanelSettings) -> Run:
        """The run of a job, whose regions' prompts go with the main one."""
        job = replace(job, tiling=with_styles(job.tiling))
        run = Run(job, RegionTexts(job.tiling))
        wrap(p, "setup_prompts", TITLE, _then(lambda: run.texts.send(p)))
        return run

    def process(self, p: Job, *args: Any) -> None:  # noqa: ARG002
        """Wraps what the host calls next, so that a wrong job stops and a broken one leaves nothing behind."""
        run = p.__dict__.get(RUN)
        if isinstance(run, Run):
            wrap(p, "init", TITLE, _first(lambda: _arrived(p)))
            grow(p) if run.job.grow else guard(p)
        elif isinstance(run, Exception):
            refuse(p, TITLE, run)

    def before_process_batch(self, p: Job, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Adds the regions' LoRAs to the batch."""
        run = _drawing(p)
        if run is not None and p.prompts:
            tags = networks_of_regions(run.texts, p.prompts[0], p.iteration * p.batch_size)
            run.added_networks = names_of(tags)
            host.jobs.add_networks(p, tags)

    def after_extra_networks_activate(self, p: Job, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Lets the regions' LoRAs act in their regions alone, where the host can."""
        run = _drawing(p)
        if run is not None:
            run.networks = host.texts.network_switch(tuple(run.added_networks)) if has_networks(run.texts) else None

    def process_batch(self, p: Job, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Adds the regions' LoRAs to the hires pass."""
        run, hires = _drawing(p), host.jobs.hires_networks(p)
        if run is None or hires is None:
            return
        prompt, known = hires
        added = networks_of_regions(run.texts, prompt, p.iteration * p.batch_size)
        run.added_networks = names_of(added)
        for kind, tags in added.items():
            known.setdefault(kind, []).extend(tags)

    def process_before_every_sampling(self, p: Job, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Puts tiles under a sampler that is about to begin."""
        run = run_of(p)
        if run is None:
            return
        run.end(p.sampler)
        try:
            attach(p, run, kwargs["x"], kwargs["noise"])
        except Exception as e:  # noqa: BLE001 the host would only report it, and draw
            run.end()
            host.jobs.refuse_sampling(p, failing(TITLE, e))

    def postprocess(self, p: Job, processed: Any, *args: Any) -> None:  # noqa: ARG002
        """The job is done: what there was to say about it goes to the API too."""
        run = run_of(p)
        if run is not None or xyz.DIFFUSION.chosen(p):
            host.jobs.finish(p, processed)
        if run is not None and APART not in p.__dict__:
            remember(p, run, img2img=self.is_img2img)


def _arrived(p: Job) -> None:
    """All prompts are as they will be drawn: takes the regions' out of them, and writes the record."""
    run = run_of(p)
    if run is None or run.texts.prompts:
        return
    run.texts.receive(p)
    if run.texts.lost:
        p.comment(f"{TITLE}: an extension that rewrites prompts has dropped the regions': theirs hold as written")
    tags = networks_of_regions(run.texts, "", 0)
    if host.texts.keeps_networks_apart():
        tags.pop(NETWORK, None)
    if tags:
        names = ", ".join(f"{kind}:{tag.items[0]}" for kind, every in tags.items() for tag in every)
        p.comment(f"{TITLE}: {names} stands in a region's prompt, but acts on the whole picture")
    run.write_record = lambda: RECORD.write(p, [_record(p, run, image) for image in range(len(p.all_prompts))])
    run.write_record()


def _drawing(p: Job) -> Run | None:
    """What a job keeps that draws by itself; None where other jobs draw for it."""
    run = run_of(p)
    return None if run is None or run.job.grow else run


def _record(p: Job, run: Run, image: int) -> PanelSettings:
    """The job that draws one of the pictures alone."""
    tiling = run.texts.resolved(image).recorded(folders())
    if image > 0 and METHODS[tiling.method].moves and not run.job.grow:
        tiling = replace(tiling, grid_seed=grid_seed(p, tiling))
    if image in run.captions:
        tiling = replace(tiling, tile_prompts="list", tile_texts=run.captions[image])
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


def _accordion(label: str, elem_id: str) -> Any:
    return host.page.accordion(label, elem_id, bool(host.page.option("tiled_diffusion_on", False)))


def _rival(p: Job) -> str | None:
    """Whoever else is switched on in this job and would tile."""
    for script in host.jobs.scripts_of(p):
        file, on = script.file.lower(), script.values[:1] == (True,)
        if on and PEER in file and "tilediffusion" in file:
            return PEER
        if on and script.title == BUILT_IN:
            return BUILT_IN
    return None
