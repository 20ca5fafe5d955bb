"""The studio's tab of picture frames: a photo, its four corners, tries to pick from, a second prompt, and a print."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from PIL import Image

from tiled_diffusion.errors import SettingsError, TiledError
from tiled_diffusion.recipes.frame.steps import tries_in_frame
from tiled_diffusion.settings.document import parse_json
from tiled_diffusion.settings.fields import row
from tiled_diffusion.settings.frame import PADS, CornersKind, Frame, Framing, Redraw
from tiled_diffusion.settings.print_size import FORM, PRINT_FITS, Print, paper_size
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.print_files import FORMATS
from tiled_diffusion.standalone.samplers import default_sampler, samplers_of
from tiled_diffusion.ui.controls import slider_of
from tiled_diffusion.ui.frame_view import corner_editor_html
from tiled_vae import Interrupted

from .frames import Frames, Made, print_table

Values = dict[str, Any]
Answer = tuple[Any, ...]
WHOLE = ("tries", "steps", "seed", "side_px", "redraw_side_px")
"""Fields whose numbers are whole."""


@dataclass(frozen=True)
class Shown:
    """What the tab shows of results; each handler gives new values for these, in this order.

    Attributes:
        status: one line.
        tries: the contact sheet to pick from.
        photo: the photo with the picture in it.
        picture: what is in the frame.
        table: of prints.
        print: the file for the print shop.
        paths: the files of the tries, of the picture; not seen.
    """

    status: Any
    tries: Any
    photo: Any
    picture: Any
    table: Any
    print: Any
    paths: Any

    @property
    def components(self) -> list[Any]:
        """All of them."""
        return list(vars(self).values())


def build_frame(frames: Frames) -> None:
    """Builds the tab and binds it."""
    with gr.Row():
        with gr.Column(scale=3):
            fields = _frame_fields()
        with gr.Column(scale=2):
            fields |= _drawing_fields(frames)
            with gr.Row():
                draw = gr.Button("Draw tries", variant="primary", elem_id=_id("draw"))
                stop = gr.Button("Stop", elem_id=_id("stop"))
            status = gr.Markdown("", elem_id=_id("status"))
    tries = gr.Gallery(
        label="Tries: click the one that goes into the frame", columns=4, object_fit="contain", allow_preview=False,
        height="auto", interactive=False, elem_id=_id("tries"),
    )  # fmt: skip
    with gr.Row():
        photo = gr.Image(label="The photo with the picture in it", interactive=False, elem_id=_id("result"))
        picture = gr.Image(label="The picture", interactive=False, elem_id=_id("picture"))
    with gr.Row():
        with gr.Column(), gr.Accordion("Draw it anew by a second prompt", open=True):
            fields |= _redraw_fields()
            redraw = gr.Button("Draw it anew", elem_id=_id("redraw_button"))
        with gr.Column(), gr.Accordion("Print", open=True):
            fields |= _print_fields()
            table = gr.Markdown("", elem_id=_id("table"))
            make = gr.Button("Make the print", elem_id=_id("print_button"))
            file = gr.File(label="For the print shop", interactive=False, elem_id=_id("file"))
    shown = Shown(status, tries, photo, picture, table, file, gr.State({"tries": [], "picture": None}))
    _bind(frames, fields, shown, {"draw": draw, "redraw": redraw, "print": make, "stop": stop})


def _bind(frames: Frames, fields: Values, shown: Shown, buttons: Values) -> None:
    inputs, names = [shown.paths, *fields.values()], tuple(fields)
    for name, ask in (("draw", _tries_of), ("redraw", _redraw_of), ("print", _print_of)):
        buttons[name].click(_handler(frames, names, ask), inputs, shown.components, concurrency_limit=1)
    buttons["stop"].click(frames.studio.cancel, None, None, queue=False)
    shown.tries.select(_picking(frames, names), inputs, shown.components, concurrency_limit=1)
    fields["dpi"].change(
        lambda dpi, paths: _table(paths["picture"], dpi), [fields["dpi"], shown.paths], shown.table,
        show_progress="hidden",
    )  # fmt: skip


def _frame_fields() -> Values:
    """The photo and how its frame is looked at."""
    photo = gr.Image(label="Photo of a frame", type="filepath", height=180, elem_id=_id("photo"))
    photo.preprocess = lambda uploaded: uploaded and uploaded.path  # the very file, with its DPI and its colours
    ids = {"photo": f"#{_id('photo')} img", "context": _id("context"), "shape": _id("shape")}
    gr.HTML(corner_editor_html(_id("corners"), **ids))
    fields: Values = {"photo": photo, "corners": gr.Textbox("", elem_id=_id("corners"), elem_classes=["td-hidden"])}
    with gr.Row():
        fields["context"] = slider_of(row(Frame, "context"), 0.05, **_known(Frame, "context"))
        fields["shape"] = gr.Number(0, **_known(Frame, "shape", "0: estimated from the corners."))
    with gr.Row():
        fields["light"] = slider_of(row(Frame, "light"), 0.05, **_known(Frame, "light"))
        fields["feather"] = gr.Number(0, **_known(Frame, "feather"))
    return fields


def _drawing_fields(frames: Frames) -> Values:
    """What is drawn."""
    model = frames.studio.model
    fields: Values = {
        "prompt": gr.Textbox(lines=2, **_known(Request, "prompt")),
        "negative_prompt": gr.Textbox(**_known(Request, "negative_prompt")),
    }
    with gr.Row():
        fields["tries"] = gr.Slider(1, 16, 4, step=1, **_known(Framing, "tries"))
        fields["seed"] = gr.Number(0, precision=0, **_known(Request, "seed"))
    with gr.Row():
        begins = gr.Radio(["noise", "original"], value="noise", **_known(Request, "inpaint_from"))
        fields["inpaint_from"] = begins
        default = row(Request, "denoising_strength").default
        fields["denoising_strength"] = gr.Slider(0, 1, default, step=0.05, **_known(Request, "denoising_strength"))
    with gr.Row():
        fields["steps"] = gr.Slider(1, 150, 20, step=1, **_known(Request, "steps"))
        fields["cfg_scale"] = gr.Slider(1, 30, row(Request, "cfg_scale").default, step=0.5,
                                        **_known(Request, "cfg_scale"))  # fmt: skip
    with gr.Row():
        fields["sampler"] = gr.Dropdown(list(samplers_of(model)), value=default_sampler(model),
                                        **_known(Request, "sampler"))  # fmt: skip
        native = DiffusersHost(model).native_px
        fields["side_px"] = gr.Number(native, precision=0, **_known(Frame, "side_px"))
    return fields


def _redraw_fields() -> Values:
    prompt = gr.Textbox(label="Second prompt", lines=2, elem_id=_id("redraw_prompt"))
    with gr.Row():
        strength = gr.Slider(0, 1, row(Redraw, "strength").default, step=0.05, label="Strength",
                             info=row(Redraw, "strength").info, elem_id=_id("redraw_strength"))  # fmt: skip
        side = gr.Number(0, precision=0, label="Size (px)", info="Longer side. 0: as it is.", elem_id=_id("redraw_px"))
    pad = gr.Radio(list(PADS.names), value="reflect", label="Padding", elem_id=_id("redraw_pad"))
    return {"redraw": prompt, "redraw_strength": strength, "redraw_side_px": side, "pad": pad}


def _print_fields() -> Values:
    with gr.Row():
        paper = gr.Textbox("A4", label="Paper", info=FORM, elem_id=_id("paper"))
        dpi = gr.Number(row(Print, "dpi").default, **_known(Print, "dpi"))
    with gr.Row():
        bleed = gr.Number(0, **_known(Print, "bleed_mm"))
        strength = gr.Slider(0, 1, 0, step=0.05, **_known(Framing, "print_strength"))
    with gr.Row():
        fit = gr.Radio(list(PRINT_FITS.names), value="cover", **_known(Print, "fit"))
        kind = gr.Dropdown(list(FORMATS), value=".png", label="File", elem_id=_id("format"))
    return {"paper": paper, "dpi": dpi, "bleed_mm": bleed, "print_strength": strength, "fit": fit, "format": kind}


def _known(cls: type, name: str, more: str = "") -> Values:
    """What the table knows of a setting that pages show."""
    setting = row(cls, name)
    return {"label": setting.label, "info": f"{setting.info} {more}".strip(), "elem_id": _id(name)}


def _id(name: str) -> str:
    return f"studio_frame_{name}"


def _framing(frames: Frames, values: Values, **more: Any) -> Framing:
    """What the tab's components ask for, without prompt, second prompt and print."""
    if not values["photo"]:
        raise TiledError("photo: choose a photo of a frame first")
    for name in WHOLE:
        if values[name] is None or not float(values[name]).is_integer():
            raise SettingsError(f"{name}: got {values[name]!r}, allowed is a whole number")
        values[name] = int(values[name])
    text = values["corners"]
    corners = CornersKind().from_json("corners", parse_json(text, "corners"), 2) if text else None
    names = ("context", "light", "feather", "side_px")
    frame = Frame(frames.kept(values["photo"]), corners, values["shape"] or None, **{n: values[n] for n in names})
    return Framing(frame, **more)


def _request(values: Values, prompt: str) -> Request:
    names = ("negative_prompt", "steps", "cfg_scale", "sampler", "seed", "inpaint_from", "denoising_strength")
    return Request(prompt, **{name: values[name] for name in names})


def _tries_of(frames: Frames, values: Values, paths: Values) -> Framing:  # noqa: ARG001 as its fellows
    begun = _framing(frames, values)
    if not values["prompt"].strip():
        raise TiledError("prompt: say what is to be drawn in the frame")
    return Framing(begun.frame, _request(values, values["prompt"]), tries=values["tries"])


def _redraw_of(frames: Frames, values: Values, paths: Values) -> Framing:
    picture = _picked(paths)
    begun = _framing(frames, values)
    redraw = Redraw(values["redraw"], values["redraw_strength"], values["pad"], values["redraw_side_px"] or None)
    return Framing(begun.frame, _request(values, values["prompt"]), picture=picture, redraw=redraw)


def _print_of(frames: Frames, values: Values, paths: Values) -> Framing:
    picture = _picked(paths)
    begun = _framing(frames, values)
    with Image.open(picture) as image:
        wide = image.width > image.height
    sheet = Print(*paper_size(values["paper"], wide), values["dpi"], values["bleed_mm"], values["fit"])
    request, strength = _request(values, values["prompt"]), values["print_strength"]
    return Framing(begun.frame, request, picture=picture, print=sheet, print_strength=strength)


def _picked(paths: Values) -> str:
    if not paths["picture"]:
        raise TiledError("picture: draw tries first, and click the one that goes into the frame")
    return str(paths["picture"])


def _handler(frames: Frames, names: tuple[str, ...], ask: Callable[..., Framing]) -> Callable[..., Iterator[Answer]]:
    """Does what a button asks for, and shows what comes of it."""

    def handle(paths: Values, *given: Any) -> Iterator[Answer]:
        values = dict(zip(names, given, strict=True))
        yield from _answers(frames, lambda: ask(frames, values, paths), values, paths)

    return handle


def _picking(frames: Frames, names: tuple[str, ...]) -> Callable[..., Iterator[Answer]]:
    """Puts the try that was clicked into the frame."""

    def pick(event: gr.SelectData, paths: Values, *given: Any) -> Iterator[Answer]:
        values = dict(zip(names, given, strict=True))
        chosen = paths["tries"][event.index]
        yield from _answers(frames, lambda: _framing(frames, values, picture=chosen), values, paths)

    return pick


def _answers(frames: Frames, ask: Callable[[], Framing], values: Values, paths: Values) -> Iterator[Answer]:
    try:
        framing = ask()
        for update in frames.make(framing, values["format"]):
            if isinstance(update, Made):
                yield _shown(framing, update, values, paths)
            else:
                yield _said(update)
    except Interrupted:
        yield _said("Stopped. What was finished is kept.")
    except TiledError as e:
        yield _said(f"**{escape(str(e))}**")


def _said(line: str) -> Answer:
    return (line, *[gr.skip()] * 6)


def _shown(framing: Framing, made: Made, values: Values, paths: Values) -> Answer:
    """What a run has made; tries are to be picked from before anything is in the photo."""
    if made.tries:
        seeds = [f"{k}: seed {t.seed}" for k, t in enumerate(made.result.tries, start=1)]
        cells = list(zip(tries_in_frame(made.result, framing.frame.light), seeds, strict=True))
        paths = {"tries": [str(path) for path in made.tries], "picture": str(made.file("picture"))}
    else:
        cells = gr.skip()
        paths = {**paths, "picture": str(made.file("redrawn") or framing.picture)}
    notes = [*made.result.notes, f"All files are in {made.files[0].parent}"]
    file = made.file("print")
    return (
        "\n\n".join(map(escape, notes)), cells, str(made.file("photo")), paths["picture"],
        _table(paths["picture"], values["dpi"]), str(file) if file else gr.skip(), paths,
    )  # fmt: skip


def _table(picture: str | None, dpi: float | None) -> str:
    """The table of prints; empty as long as there is no picture."""
    if not picture:
        return ""
    try:
        with Image.open(picture) as image:
            return print_table(image.size, dpi or 0)
    except TiledError as e:
        return f"**{escape(str(e))}**"
