"""AUTOMATIC1111: what a job is asked, and what its pictures' records and its answer hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from modules import images, sd_samplers_common, shared

from tiled_diffusion.errors import SettingsError, TiledError
from tiled_diffusion.settings.quoting import quoted
from tiled_diffusion.webui.hosts.values import Networks, ScriptArguments

from .console import tell as tell
from .pictures import announce as announce
from .pictures import announce_more as announce_more
from .pictures import described as described
from .pictures import draw_apart as draw_apart
from .pictures import draw_masked as draw_masked
from .pictures import draw_pictures as draw_pictures
from .pictures import fix_seed as fix_seed
from .pictures import on_ground as on_ground
from .pictures import result as result
from .pictures import results as results
from .pictures import saves as saves

INTERRUPT: type[BaseException] = sd_samplers_common.InterruptedException
COMMENTS = "Comments"
"""Field of the API's answer, among the extra parameters of the generation, for what the page shows below a picture."""
LISTS = ("all_prompts", "all_negative_prompts", "all_hr_prompts", "all_hr_negative_prompts")
SINGLES = ("prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt", "main_prompt", "main_negative_prompt")


def is_hires(p: Any) -> bool:
    """From the encoding of its input to its final decoding."""
    return bool(getattr(p, "is_hr_pass", False))


def has_hires(p: Any) -> bool:
    """As ticked."""
    return bool(getattr(p, "enable_hr", False))


def final_size(p: Any) -> tuple[int, int]:
    """After the second pass, where there is one: where both sides are given it cuts off what is too much."""
    if not has_hires(p):
        return p.width, p.height
    both = p.hr_resize_x and p.hr_resize_y
    return (p.hr_resize_x, p.hr_resize_y) if both else (p.hr_upscale_to_x, p.hr_upscale_to_y)


CAPTIONERS = ("clip", "deepbooru")


def captioner(name: str) -> Callable[[Any], str]:
    """The interrogators of img2img, without what they do to the state of the job that is running."""
    if name not in CAPTIONERS:
        raise SettingsError(f"captioner: got {quoted(name)}, allowed here are {', '.join(CAPTIONERS)}")

    def caption(picture: Any) -> str:
        try:
            return _tags(picture) if name == "deepbooru" else _caption(picture)
        except Exception as e:
            raise TiledError(f"captioner: {name} failed: {type(e).__name__}: {e}") from e

    return caption


def _tags(picture: Any) -> str:
    from modules import deepbooru

    deepbooru.model.start()
    try:
        return str(deepbooru.model.tag_multi(picture))
    finally:
        deepbooru.model.stop()


def _caption(picture: Any) -> str:
    shared.interrogator.load()
    try:
        return str(shared.interrogator.generate_caption(picture))
    finally:
        shared.interrogator.send_blip_to_ram()


def stop_wanted() -> bool:
    """Both end the sampling; Skip goes on with the next batch."""
    return bool(shared.state.interrupted or shared.state.skipped)


def scripts_of(p: Any) -> Iterator[ScriptArguments]:
    """Those that always take part; each has its own part of one long list of arguments."""
    for script in getattr(p.scripts, "alwayson_scripts", []):
        values = tuple((p.script_args or ())[script.args_from : script.args_to])
        yield ScriptArguments(str(script.title()), str(getattr(script, "filename", "")), values)


def draws_masked_part(p: Any) -> bool:
    """Where there is a mask, and "only masked" is chosen."""
    return bool(getattr(p, "inpaint_full_res", False)) and p.image_mask is not None


def upscalers() -> list[str]:
    """As in the page's menus."""
    names = [u.name for u in getattr(shared, "sd_upscalers", [])]
    return names or ["None"]


def enlarged(image: Any, upscaler: str, width: int, height: int) -> Any:
    """As where the page resizes pictures."""
    return images.resize_image(0, image, width, height, upscaler_name=upscaler)


def note(p: Any, name: str, value: str) -> None:
    """Among the extra parameters of the generation."""
    p.extra_generation_params[name] = value


def write_records(p: Any, name: str, texts: Sequence[str]) -> None:
    """As one text where all are the same, else by a function that the host asks for each picture.

    A list would be the wrong thing: the host looks a picture up in it by its place in the batch in some places, by its
    place in the job in others.
    """
    same = len(set(texts)) == 1
    p.extra_generation_params[name] = texts[0] if same else Records(tuple(texts))


class Records:
    """The records of a job's pictures, as a function that the host calls for each with all that it knows."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.texts = texts

    def __call__(self, p: Any, index: int, all_prompts: Any, use_main_prompt: bool = False, **_: Any) -> str:
        """One picture's; the grid of all of them has the first one's."""
        in_batch = len(all_prompts) == len(p.prompts) < len(self.texts)  # reForge gives a copy of the batch's list
        place = 0 if use_main_prompt else index + (p.iteration * p.batch_size if in_batch else 0)
        return self.texts[min(place, len(self.texts) - 1)]


def drop_records(p: Any, name: str) -> None:
    """From a dict of its own: a copied job shares its dict with the job that it was copied from, which may go on."""
    p.extra_generation_params = {k: v for k, v in p.extra_generation_params.items() if k != name}


def finish(p: Any, processed: Any) -> None:
    """The answer is made of a dict of its own: functions would be null in it, and comments are not in it at all."""
    extra = {k: list(v.texts) if isinstance(v, Records) else v for k, v in p.extra_generation_params.items()}
    comments = [str(comment) for comment in p.comments]
    processed.extra_generation_params = {**extra, COMMENTS: comments} if comments else extra


def refuse_sampling(p: Any, error: Exception) -> None:
    """On the sampler, whose methods txt2img and img2img call right afterwards."""
    sampler = p.sampler

    def fail(*args: Any, **kwargs: Any) -> None:  # noqa: ARG001
        for name in ("sample", "sample_img2img"):
            sampler.__dict__.pop(name, None)
        raise error

    sampler.sample = sampler.sample_img2img = fail


def add_networks(p: Any, tags: Networks) -> None:
    """Behind the first prompt, where the host reads them for the whole batch."""
    p.prompts[0] += "".join(f" <{kind}:{':'.join(tag.items)}>" for kind, every in tags.items() for tag in every)


def hires_networks(p: Any) -> tuple[str, dict[str, list[Any]]] | None:
    """What the host has read from the hires prompts; without any, it takes the first pass's."""
    data = getattr(p, "hr_extra_network_data", None)
    if data is None or data is getattr(p, "extra_network_data", None):
        return None
    return p.all_hr_prompts[p.iteration * p.batch_size], data


def rewrite_texts(p: Any, change: Callable[[str], str]) -> None:
    """In the lists themselves, which others may hold."""
    for name in LISTS:
        texts = getattr(p, name, None)
        if isinstance(texts, list):
            texts[:] = [change(t) if isinstance(t, str) else t for t in texts]
    for name in SINGLES:
        text = getattr(p, name, None)
        if isinstance(text, str) and change(text) != text:
            setattr(p, name, change(text))
