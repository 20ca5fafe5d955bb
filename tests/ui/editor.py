"""The region editor as a user handles it in a browser: mouse, keys and fields. Used by its tests."""

import json

EDITOR = ".td-editor[data-tab=txt2img]"


class Editor:
    """What a user does with it."""

    def __init__(self, page):
        self.page = page
        page.locator("#td_txt2img_regions_accordion").scroll_into_view_if_needed()
        page.locator("#td_txt2img_regions_accordion .label-wrap, #td_txt2img_regions_accordion > button").first.click()
        self.surface = page.locator(f"{EDITOR} .td-surface")
        self.surface.wait_for(state="visible")
        page.wait_for_timeout(400)
        page.locator(f"{EDITOR} .td-stage").scroll_into_view_if_needed()

    def at(self, x, y):
        r = self.surface.bounding_box()
        return r["x"] + x * r["width"], r["y"] + y * r["height"]

    def drag(self, start, end, keys=(), held=(), drop=True):
        """From one point of the canvas to another; `keys` are pressed during the drag, `held` before it."""
        mouse, keyboard = self.page.mouse, self.page.keyboard
        mouse.move(*self.at(*start))
        for key in held:
            keyboard.down(key)
        mouse.down()
        for key in keys:
            keyboard.down(key)
        mouse.move(*self.at((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
        mouse.move(*self.at(*end))
        if drop:
            mouse.up()
            for key in (*keys, *held):
                keyboard.up(key)

    def key(self, keys):
        self.page.locator(f"{EDITOR} .td-stage").focus()
        self.page.keyboard.press(keys)

    def click(self, hint):
        """A button by what its tooltip says before the shortcut; opens the menu that it is in."""
        self.shown(f'button[title="{hint}"], {EDITOR} button[title^="{hint} ("]').click()

    def shown(self, selector):
        """An element of the toolbar; opens the menu that it is in."""
        node = self.all(selector).first
        node.evaluate("node => node.closest('details')?.setAttribute('open', '')")
        return node

    def tab(self, name):
        """Changes to a tab of the page."""
        self.page.locator("button[role=tab], .tab-nav button").filter(has_text=name).first.click()

    def all(self, selector):
        return self.page.locator(f"{EDITOR} {selector}")

    @property
    def said(self):
        return self.all(".td-warning").inner_text()

    def field(self, label):
        return self.page.locator(f"{EDITOR} .td-field", has=self.page.locator("span", has_text=label)).first.locator(
            "input, textarea, select"
        )

    @property
    def regions(self):
        return self.document.get("regions", [])

    @property
    def document(self):
        text = self.page.locator("#td_txt2img_regions textarea, #td_txt2img_regions input").first.input_value()
        return json.loads(text) if text else {"regions": []}

    @property
    def boxes(self):
        return [
            tuple(r.get(k, d) for k, d in (("x", 0), ("y", 0), ("w", 1), ("h", 1)))
            for r in self.document.get("regions", [])
        ]


def close(box, expected, by=0.02):
    """Fails unless all numbers are about as expected."""
    assert all(abs(a - b) <= by for a, b in zip(box, expected, strict=True)), (box, expected)
