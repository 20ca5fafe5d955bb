"""Records the region editor at work as a GIF, by the driver of its tests: `python -m tests.ui.record docs/editor.gif`."""

import io
import sys
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import sync_playwright

from tests.ui.conftest import APP, PYTHONS, chromium_path, served
from tests.ui.editor import EDITOR, Editor

WIDTH = 640
SHAPE = 0.72
"""Height of what is shown / its width, from the top."""
MOVES = 8
"""Pictures of a drag."""
SHORT, LONG = 90, 900
"""Milliseconds of a picture within a movement, and of one to be looked at."""
CURSOR = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))
LEFT, RIGHT = ((0.02, 0.03), (0.48, 0.97)), ((0.98, 0.03), (0.52, 0.97))


class Recorder:
    """Pictures of the editor, each with the mouse where it is.

    Attributes:
        editor: the driver.
        frames: [(picture, milliseconds)].
    """

    def __init__(self, editor):
        self.editor, self.frames = editor, []

    def shoot(self, lasting, mouse=None):
        """One picture of the editor as it is; `mouse` is a point of the canvas."""
        area = self.editor.page.locator(EDITOR)
        box = area.bounding_box()
        picture = Image.open(io.BytesIO(area.screenshot())).convert("RGB")
        if mouse is not None:
            x, y = self.editor.at(*mouse)
            tip = x - box["x"], y - box["y"]
            ImageDraw.Draw(picture).polygon([(tip[0] + a, tip[1] + b) for a, b in CURSOR], fill="white", outline="black")
        self.frames.append((picture, lasting))

    def drag(self, start, end):
        """A box that grows under the mouse."""
        mouse = self.editor.page.mouse
        mouse.move(*self.editor.at(*start))
        mouse.down()
        for k in range(1, MOVES + 1):
            point = tuple(a + (b - a) * k / MOVES for a, b in zip(start, end, strict=True))
            mouse.move(*self.editor.at(*point))
            self.shoot(SHORT, point)
        mouse.up()
        self.editor.page.wait_for_timeout(200)
        self.shoot(LONG, end)

    def type(self, text):
        """Word by word, into the prompt that has the focus."""
        for word in text.split(" "):
            self.editor.page.keyboard.type(word + " ")
            self.shoot(2 * SHORT)
        self.frames[-1] = (self.frames[-1][0], LONG)

    def save(self, path):
        """As a GIF of one palette, which is what keeps it small."""
        width = self.frames[0][0].width
        shots = []
        for picture, _ in self.frames:
            top = Image.new("RGB", (width, round(width * SHAPE)), "white")
            top.paste(picture)
            shots.append(top.resize((WIDTH, round(WIDTH * SHAPE)), Image.Resampling.LANCZOS))
        palette = shots[-1].quantize(128)
        frames = [shot.quantize(palette=palette, dither=Image.Dither.NONE) for shot in shots]
        lasting = [milliseconds for _, milliseconds in self.frames]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=lasting, loop=0, optimize=True)


def perform(recorder):
    """Two grounds by the mouse, a box between them by the keyboard, and the tiles that all of it makes."""
    recorder.shoot(LONG)
    recorder.drag(*LEFT)
    recorder.type("a blue tower on snow, night sky")
    recorder.drag(*RIGHT)
    recorder.type("a green cactus in the desert, sunset")
    recorder.editor.key("n")
    recorder.editor.page.wait_for_timeout(200)
    recorder.shoot(LONG)
    recorder.editor.key("Enter")
    recorder.type("a red house")
    recorder.editor.click("Show the tiles of the plan")
    recorder.editor.page.wait_for_timeout(800)
    recorder.shoot(3 * LONG)


def main():
    """Writes the file that the command line names."""
    python = next(path for path in (PYTHONS["gradio-4.40.0"], Path(sys.executable)) if path.exists())
    with served(python, APP) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 1300})
        page.set_default_timeout(120_000)
        page.goto(url)
        page.wait_for_selector("#td_txt2img_status:not(:empty)")
        recorder = Recorder(Editor(page))
        perform(recorder)
        browser.close()
    recorder.save(sys.argv[1])


if __name__ == "__main__":
    main()
