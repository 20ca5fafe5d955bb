#!/usr/bin/env python3
"""Draws the 'storybook landscape' pictures, with captions, that the small model is trained on.

Every sample is a pure function of its integer seed:

    image, caption, scene = make_sample(seed, width=128, height=128)

`image` is a PIL RGB image, `caption` a short English description and `scene` the plain dict it was drawn
from (sky, ground, objects with kind, colour, position and size).  Scenes have a horizon that runs straight
through the picture, so that pictures made of overlapping tiles (panoramas) make sense; objects keep their
size when the canvas grows, there are only more of them.  One picture of 128x128 in eight is a window into a scene drawn
twice as big, captioned 'close up of ...' or 'a big ...'.  Captions name and count every object.

    python dataset.py --sheet sheet.png          # contact sheet of 40 samples with captions
    python dataset.py --export DIR --count 1000  # PNG + metadata.jsonl
    python dataset.py --words                    # the whole vocabulary
"""

import argparse
import json
import math
import os
import random
import textwrap

import numpy as np
from PIL import Image, ImageDraw

SS = 2  # supersampling factor
WINDOW = 128  # edge of a magnified window

COLOURS = {
    "red": (214, 48, 44),
    "orange": (240, 140, 36),
    "yellow": (246, 212, 50),
    "green": (56, 160, 70),
    "blue": (48, 98, 216),
    "purple": (136, 66, 178),
    "pink": (244, 136, 182),
    "white": (246, 246, 246),
}
SKIES = {  # stops from zenith to horizon, tint of the ground, tint of objects
    "day": {
        "stops": [(92, 168, 236), (152, 206, 246), (206, 234, 250)],
        "ground": (1, 1, 1),
        "obj": (1, 1, 1),
    },
    "sunset": {
        "stops": [(112, 64, 136), (238, 116, 84), (255, 206, 116)],
        "ground": (1.0, 0.84, 0.78),
        "obj": (1, 0.93, 0.88),
    },
    "night": {
        "stops": [(10, 14, 44), (24, 32, 78), (52, 62, 118)],
        "ground": (0.42, 0.47, 0.66),
        "obj": (0.80, 0.80, 0.90),
    },
    "storm": {
        "stops": [(66, 72, 84), (104, 112, 124), (146, 152, 162)],
        "ground": (0.72, 0.76, 0.80),
        "obj": (0.88, 0.88, 0.90),
    },
    "dawn": {
        "stops": [(168, 152, 218), (232, 176, 212), (252, 208, 206)],
        "ground": (1.0, 0.93, 0.97),
        "obj": (1, 0.97, 0.98),
    },
}
GROUNDS = {  # colours at the horizon and at the lower edge
    "grass": [(132, 200, 84), (62, 142, 54)],
    "sand": [(246, 220, 152), (216, 168, 92)],
    "snow": [(250, 252, 255), (206, 222, 242)],
    "sea": [(76, 156, 208), (20, 78, 150)],
    "city": [(136, 136, 144), (94, 94, 104)],
    "forest": [(72, 132, 70), (40, 88, 50)],
    "mountains": [(150, 172, 112), (98, 126, 84)],
    "lavender": [(172, 132, 214), (110, 70, 166)],
}
GROUND_OBJECTS = {
    "grass": ["house", "tree", "tower"],
    "sand": ["cactus", "cactus", "house", "tower"],
    "snow": ["house", "tree", "tower"],
    "sea": ["boat"],
    "city": ["house", "tree", "tower"],
    "forest": ["house", "tower", "tree"],
    "mountains": ["house", "tree", "tower"],
    "lavender": ["house", "tree", "tower"],
}
OBJECT_COLOURS = {
    "house": list(COLOURS),
    "tower": list(COLOURS),
    "balloon": list(COLOURS),
    "boat": list(COLOURS),
    "tree": ["green", "green", "green", "orange", "pink", "red", "yellow"],
    "cactus": ["green"],
    "sun": ["yellow"],
    "moon": ["white"],
}
SIZES = {
    "house": (42, 40),
    "tree": (38, 52),
    "tower": (20, 64),
    "balloon": (32, 42),
    "boat": (46, 42),
    "cactus": (28, 42),
    "sun": (26, 26),
    "moon": (24, 24),
}  # width, height at scale 1 in picture pixels


# ------------------------------------------------------------------------------------------------- scenes


def make_scene(seed, width=128, height=128):
    """The plain description of a scene; everything random about it is decided here."""
    r = random.Random(seed)
    sky = r.choice(["day", "day", "sunset", "sunset", "night", "night", "storm", "dawn", "dawn"])
    ground = r.choice(list(GROUNDS))
    horizon = r.uniform(0.50, 0.62) * height
    objects, slots = [], []
    wide = width / 128

    def place(kind, colour, scale, y):
        w = SIZES[kind][0] * scale
        for _ in range(16):
            x = r.uniform(w * 0.5 + 2, width - w * 0.5 - 2)
            if all(abs(x - x2) > (w + w2) * 0.5 + 2 or abs(y - y2) > 64 for x2, y2, w2 in slots):
                slots.append((x, y, w))
                objects.append({"kind": kind, "colour": colour, "x": x, "y": y, "scale": scale})
                return

    def foot(kind):
        low = horizon + (14 if kind == "boat" else 10)
        return r.uniform(low, min(height - 8, low + 30))

    if r.random() < 0.22:  # several of one kind, most often of one colour
        kind = r.choice(GROUND_OBJECTS[ground] + ["balloon"])
        count = r.choice([2, 2, 3] if wide < 1.3 else [2, 3, 3, 4, 5])
        small = count >= 3 and wide < 1.3
        colour, mixed = r.choice(OBJECT_COLOURS[kind]), r.random() < 0.25
        for _ in range(count):
            y = r.uniform(0.20, 0.36) * height if kind == "balloon" else foot(kind)
            place(
                kind,
                r.choice(OBJECT_COLOURS[kind]) if mixed else colour,
                r.uniform(0.66, 0.82) if small else r.uniform(0.82, 1.1),
                y,
            )
        more, sun, balloon = 0, 0.15, 0 if kind == "balloon" else 0.1
    else:
        more = sum(r.random() < p for p in (0.85, 0.35)) if wide < 1.3 else r.choice([1, 1, 2, 2, 3])
        sun, balloon = 0.30, 0.33
    for _ in range(more):
        kind = r.choice(GROUND_OBJECTS[ground])
        place(kind, r.choice(OBJECT_COLOURS[kind]), r.uniform(0.85, 1.2), foot(kind))
    if sky in ("day", "sunset", "dawn") and r.random() < sun:
        place("sun", "yellow", r.uniform(0.85, 1.15), r.uniform(0.14, 0.30) * height)
    if sky == "night" and r.random() < 0.45:
        place("moon", "white", r.uniform(0.85, 1.15), r.uniform(0.14, 0.28) * height)
    for _ in range(1 if wide < 1.3 else 2):
        if r.random() < balloon:
            place("balloon", r.choice(OBJECT_COLOURS["balloon"]), r.uniform(0.85, 1.15), r.uniform(0.22, 0.36) * height)
    return {
        "seed": seed,
        "width": width,
        "height": height,
        "sky": sky,
        "ground": ground,
        "horizon": horizon,
        "objects": objects,
    }


def extent(ob):
    """Left, top, right and lower border of an object in picture pixels."""
    w, h = (v * ob["scale"] for v in SIZES[ob["kind"]])
    if ob["kind"] in ("sun", "moon"):
        return ob["x"] - w * 0.7, ob["y"] - h * 0.7, ob["x"] + w * 0.7, ob["y"] + h * 0.7
    up, down = (0.5, 0.6) if ob["kind"] == "balloon" else (1, 0.03)
    return ob["x"] - w * 0.52, ob["y"] - h * up, ob["x"] + w * 0.52, ob["y"] + h * down


def make_zoomed(seed):
    """A window of 128x128 pixels into a scene drawn twice as big, with only what the window shows in `objects`.

    Tiles of an enlarged picture look like this.  Windows that cut through an object so that it can hardly be told
    what it is are avoided.
    """
    scene = make_scene(seed)
    r = random.Random(seed * 65537 + 3)
    zoom, edge = 2, 2 * 128 - WINDOW
    for _ in range(60):
        if scene["objects"] and r.random() < 0.75:
            x0, y0, x1, y1 = extent(r.choice(scene["objects"]))
            x, y = (
                (x0 + x1) / 2 * zoom - WINDOW * r.uniform(0.3, 0.7),
                (y0 + y1) / 2 * zoom - WINDOW * r.uniform(0.3, 0.7),
            )
        else:
            x, y = r.uniform(0, edge), r.uniform(0, edge)
        x, y = int(min(max(x, 0), edge)), int(min(max(y, 0), edge))
        seen, clear = [], True
        for ob in scene["objects"]:
            x0, y0, x1, y1 = (v * zoom for v in extent(ob))
            part = max(0, min(x1, x + WINDOW) - max(x0, x)) * max(0, min(y1, y + WINDOW) - max(y0, y))
            part /= (x1 - x0) * (y1 - y0)
            if part > 0.6:
                seen.append(ob)
            elif part > 0.06:
                clear = False
        if clear:
            break
    horizon = scene["horizon"] * zoom
    rise = {"mountains": 60, "city": 60, "forest": 44}.get(scene["ground"], 0)
    return dict(
        scene,
        zoom=zoom,
        window=(x, y),
        drawn=scene["objects"],
        objects=seen,
        sky_seen=horizon - y > 20,
        ground_seen=y + WINDOW > horizon - rise + 14,
    )


# ------------------------------------------------------------------------------------------------ drawing


def _tint(c, t):
    return tuple(int(max(0, min(255, a * b))) for a, b in zip(c, t, strict=False))


def _mix(a, b, f):
    return tuple(int(x * (1 - f) + y * f) for x, y in zip(a, b, strict=False))


def _noise(rs, w, h, cells, amp):
    """Smooth noise, wider than high, to be added to an array."""
    small = rs.normal(0, 1, (max(2, h * cells // 128), max(2, w * cells // 256))).astype(np.float32)
    return np.asarray(Image.fromarray(small).resize((w, h), Image.BICUBIC)) * amp


class _Painter:
    def __init__(self, scene):
        self.s = scene
        self.k = SS * scene.get("zoom", 1)  # canvas pixels per picture pixel of an unmagnified scene
        self.r = random.Random(scene["seed"] * 7919 + 13)
        self.rs = np.random.RandomState((scene["seed"] * 104729 + 5) % (2**31))
        self.things = scene.get("drawn", scene["objects"])
        self.W, self.H = scene["width"] * self.k, scene["height"] * self.k
        self.h = scene["horizon"] * self.k
        self.sky = SKIES[scene["sky"]]

    def g(self, c):
        return _tint(c, self.sky["ground"])

    def o(self, c):
        return _tint(c, self.sky["obj"])

    def ellipse(self, cx, cy, rx, ry, fill):
        self.d.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=fill)

    def wave_line(self, y, amp):
        """A horizontal line of gentle hills as a list of points."""
        k = [(self.r.uniform(0.5, 1.6), self.r.uniform(0, 6.3), self.r.uniform(0.4, 1)) for _ in range(3)]
        xs = range(0, self.W + 9, 8)
        return [(x, y + amp * sum(a * math.sin(x / (128 * self.k) * 6.283 * f + p) for f, p, a in k) / 2) for x in xs]

    def below(self, line, fill):
        self.d.polygon([*line, (self.W + 8, self.H), (0, self.H)], fill=fill)

    def render(self):
        W, H, _r = self.W, self.H, self.r
        stops = np.array(self.sky["stops"], np.float32)
        t = np.clip(np.arange(H) / max(1, self.h), 0, 1) * (len(stops) - 1)
        i = np.minimum(t.astype(int), len(stops) - 2)
        col = stops[i] + (stops[i + 1] - stops[i]) * (t - i)[:, None]
        arr = np.broadcast_to(col[:, None, :], (H, W, 3)) + _noise(self.rs, W, H, 5, 2.5)[..., None]
        self.im = Image.fromarray(np.clip(arr, 0, 255).astype(np.uint8))
        self.d = ImageDraw.Draw(self.im)
        self.paint_sky()
        for ob in self.things:
            if ob["kind"] in ("sun", "moon"):
                getattr(self, "paint_" + ob["kind"])(ob)
        self.paint_clouds()
        getattr(self, "paint_" + self.s["ground"])()
        for ob in sorted(self.things, key=lambda q: q["y"]):
            if ob["kind"] not in ("sun", "moon"):
                getattr(self, "paint_" + ob["kind"])(ob)
        im = self.im.resize((self.W // SS, self.H // SS), Image.BOX)
        if "window" in self.s:
            x, y = self.s["window"]
            im = im.crop((x, y, x + WINDOW, y + WINDOW))
        return im

    # sky ----------------------------------------------------------------------------------------------
    def paint_sky(self):
        r = self.r
        if self.s["sky"] == "night":
            for _ in range(int(r.randint(9, 16) * self.W / (128 * self.k))):
                a = r.uniform(1.2, 2.0)
                self.ellipse(r.uniform(0, self.W), r.uniform(0, self.h * 0.85), a, a, (232, 232, 216))

    def paint_clouds(self):
        r, sky = self.r, self.s["sky"]
        n = {
            "day": r.choice([0, 1, 2]),
            "sunset": r.choice([0, 1]),
            "night": 0,
            "storm": r.choice([3, 4]),
            "dawn": r.choice([0, 1]),
        }[sky]
        col = {"day": (250, 252, 255), "sunset": (255, 170, 130), "storm": (84, 88, 100), "dawn": (255, 226, 232)}.get(
            sky
        )
        for _ in range(int(n * self.W / (128 * self.k) + 0.5)):
            w = r.uniform(16, 26) * self.k * (1.5 if sky == "storm" else 1)
            x, y = r.uniform(0, self.W), r.uniform(0.08, 0.55) * self.h
            h = w * r.uniform(0.20, 0.28)
            c = _mix(col, self.sky["stops"][1], r.uniform(0.05, 0.25))
            for dx, k in ((-0.6, 0.6), (-0.2, 1.0), (0.25, 0.85), (0.65, 0.55)):
                self.ellipse(x + dx * w, y - h * (k - 0.5), w * 0.42 * k + w * 0.1, h * k, c)
            self.d.rounded_rectangle((x - w, y, x + w, y + h * 0.5), h * 0.25, fill=c)

    def paint_sun(self, ob):
        x, y, a = ob["x"] * self.k, ob["y"] * self.k, SIZES["sun"][0] * ob["scale"] * self.k / 2
        core = {"sunset": (255, 236, 130), "dawn": (255, 238, 150)}.get(self.s["sky"], (255, 226, 64))
        bg = self.im.getpixel((int(min(max(x, 0), self.W - 1)), int(y)))
        for k, f in ((1.45, 0.25), (1.2, 0.5)):
            self.ellipse(x, y, a * k, a * k, _mix(bg, core, f))
        self.ellipse(x, y, a, a, core)

    def paint_moon(self, ob):
        x, y, a = ob["x"] * self.k, ob["y"] * self.k, SIZES["moon"][0] * ob["scale"] * self.k / 2
        self.ellipse(x, y, a, a, (250, 246, 214))
        self.ellipse(x - a * 0.3, y - a * 0.25, a * 0.22, a * 0.22, (226, 222, 192))
        self.ellipse(x + a * 0.35, y + a * 0.3, a * 0.16, a * 0.16, (226, 222, 192))

    # ground -------------------------------------------------------------------------------------------
    def gradient_ground(self, line, noise=4.0, cells=14):
        a, b = (np.array(self.g(c), np.float32) for c in GROUNDS[self.s["ground"]])
        t = np.clip((np.arange(self.H) - self.h) / max(1, self.H - self.h), 0, 1)[:, None, None]
        arr = a + (b - a) * t + _noise(self.rs, self.W, self.H, cells, noise)[..., None]
        mask = Image.new("L", (self.W, self.H), 0)
        ImageDraw.Draw(mask).polygon([*line, (self.W + 8, self.H), (0, self.H)], fill=255)
        self.im.paste(Image.fromarray(np.clip(arr, 0, 255).astype(np.uint8)), (0, 0), mask)

    def hills(self, shades, amp):
        c0, c1 = GROUNDS[self.s["ground"]]
        for k, f in shades:
            y = self.h + (self.H - self.h) * k
            self.below(self.wave_line(y, amp * self.k), self.g(_mix(c0, c1, f)))

    def dashes(self, n, col0, wmin, wmax, thick):
        r = self.r
        for _ in range(int(n * self.W / (128 * self.k))):
            y = r.uniform(self.h + 6 * self.k, self.H - 3)
            w = r.uniform(wmin, wmax) * self.k
            x = r.uniform(-w, self.W)
            self.d.line((x, y, x + w, y), fill=col0, width=thick)

    def paint_grass(self):
        self.below(self.wave_line(self.h - 4 * self.k, 5 * self.k), self.g((150, 206, 120)))
        self.gradient_ground(self.wave_line(self.h, 2 * self.k))
        self.hills([(0.38, 0.55), (0.72, 0.95)], 3)

    def paint_sand(self):
        self.below(self.wave_line(self.h - 4 * self.k, 5 * self.k), self.g((234, 204, 140)))
        self.gradient_ground(self.wave_line(self.h, 2 * self.k))
        self.hills([(0.36, 0.45), (0.70, 0.85)], 4)

    def paint_snow(self):
        self.below(self.wave_line(self.h - 4 * self.k, 5 * self.k), self.g((222, 234, 248)))
        self.gradient_ground(self.wave_line(self.h, 2 * self.k), 2.0)
        self.hills([(0.40, 0.30), (0.74, 0.75)], 3)

    def paint_sea(self):
        self.gradient_ground([(0, self.h), (self.W + 8, self.h)], 3.0)
        self.dashes(20, self.g((150, 204, 236)), 6, 14, self.k + 1)

    def paint_lavender(self):
        self.below(self.wave_line(self.h - 3 * self.k, 4 * self.k), self.g((120, 170, 100)))
        self.gradient_ground([(0, self.h), (self.W + 8, self.h)], 4.0)
        y, k = self.h + 3 * self.k, 3.0 * self.k
        while y < self.H:
            self.d.line(
                (0, y, self.W, y),
                fill=self.g(_mix((132, 88, 184), (86, 52, 140), (y - self.h) / (self.H - self.h + 1))),
                width=int(k * 0.5),
            )
            y += k * 1.6
            k *= 1.25

    def paint_mountains(self):
        r = self.r
        for layer, (lo, hi, c) in enumerate(((30, 46, (126, 136, 172)), (16, 28, (96, 110, 142)))):
            x = -r.uniform(0, 40) * self.k
            while x < self.W + 20 * self.k:
                w, h = r.uniform(26, 40) * self.k, r.uniform(lo, hi) * self.k
                cx, top = x + w * 0.5, self.h - h
                self.d.polygon([(cx - w, self.h + 4), (cx, top), (cx + w, self.h + 4)], fill=self.g(c))
                self.d.polygon(
                    [(cx, top), (cx + w, self.h + 4), (cx + w * 0.2, self.h + 4)],
                    fill=self.g(_mix(c, (60, 66, 96), 0.3)),
                )
                if layer == 0:
                    q = 0.30
                    self.d.polygon(
                        [
                            (cx - w * q, top + h * q),
                            (cx, top),
                            (cx + w * q, top + h * q),
                            (cx + w * 0.1, top + h * q * 0.75),
                            (cx - w * 0.1, top + h * q * 1.1),
                        ],
                        fill=self.g((246, 248, 255)),
                    )
                x += w * r.uniform(0.8, 1.1)
        self.gradient_ground(self.wave_line(self.h, 2 * self.k))
        self.hills([(0.5, 0.7)], 3)

    def paint_forest(self):
        r = self.r
        for lo, hi, c in ((22, 34, (52, 104, 74)), (16, 24, (30, 76, 50))):
            x = -r.uniform(0, 8) * self.k
            while x < self.W + 8 * self.k:
                w, h = r.uniform(10, 14) * self.k, r.uniform(lo, hi) * self.k
                top = self.h + 3 * self.k - h
                for k in (0.0, 0.28, 0.55):
                    y0, y1, ww = top + h * k, top + h * min(1, k + 0.5), w * (0.34 + k * 0.7) * 0.8
                    self.d.polygon([(x - ww, y1), (x, y0), (x + ww, y1)], fill=self.g(c))
                x += w * r.uniform(0.75, 0.95)
        self.gradient_ground(self.wave_line(self.h + 2 * self.k, 1 * self.k))
        self.hills([(0.5, 0.6)], 3)

    def paint_city(self):
        r = self.r
        night = self.s["sky"] == "night"
        for lo, hi, base in ((30, 50, (150, 158, 180)), (16, 32, (112, 118, 142))):
            x = -r.uniform(0, 16) * self.k
            while x < self.W:
                w, h = r.uniform(14, 20) * self.k, r.uniform(lo, hi) * self.k
                c = self.g(_mix(base, (190, 150, 130), r.choice([0, 0, 0.45])))
                self.d.rectangle((x, self.h - h, x + w, self.h + 2), fill=c)
                win = (252, 226, 120) if night else _mix(c, (235, 242, 250), 0.55)
                step = 7 * self.k
                for yy in np.arange(self.h - h + 3 * self.k, self.h - 4 * self.k, step):
                    for k in (0.28, 0.72):
                        self.d.rectangle(
                            (x + w * k - 1.6 * self.k, yy, x + w * k + 1.6 * self.k, yy + 3.4 * self.k), fill=win
                        )
                x += w + r.uniform(0, 1.5) * self.k
        self.gradient_ground([(0, self.h), (self.W + 8, self.h)], 2.0)
        y = self.h + (self.H - self.h) * 0.55
        for x in range(int(-r.uniform(0, 20)), self.W, 22 * self.k):
            self.d.rectangle((x, y, x + 11 * self.k, y + 2 * self.k), fill=self.g((228, 228, 220)))

    # objects: (x, y) is the middle of the foot, for balloons the middle of the envelope -----------------
    def box(self, ob):
        w, h = (v * ob["scale"] * self.k for v in SIZES[ob["kind"]])
        return ob["x"] * self.k, ob["y"] * self.k, w, h, self.o(COLOURS[ob["colour"]])

    def shadow(self, x, y, w):
        self.ellipse(x, y, w * 0.55, 2.2 * self.k, self.g(_mix(GROUNDS[self.s["ground"]][1], (20, 24, 40), 0.35)))

    def paint_house(self, ob):
        x, y, w, h, c = self.box(ob)
        dark = _mix(c, (40, 24, 30), 0.42) if ob["colour"] != "white" else self.o((150, 70, 62))
        self.shadow(x, y, w)
        self.d.rectangle((x - w * 0.42, y - h * 0.58, x + w * 0.42, y), fill=c)
        self.d.polygon([(x - w * 0.52, y - h * 0.56), (x, y - h), (x + w * 0.52, y - h * 0.56)], fill=dark)
        win = (255, 230, 120) if self.s["sky"] in ("night", "sunset") else (216, 238, 250)
        self.d.rectangle((x - w * 0.30, y - h * 0.44, x - w * 0.10, y - h * 0.22), fill=win)
        self.d.rectangle((x + w * 0.08, y - h * 0.36, x + w * 0.28, y), fill=self.o((96, 62, 44)))

    def paint_tree(self, ob):
        x, y, w, h, c = self.box(ob)
        self.shadow(x, y, w * 0.7)
        self.d.rectangle((x - w * 0.08, y - h * 0.45, x + w * 0.08, y), fill=self.o((112, 76, 48)))
        self.ellipse(x, y - h * 0.66, w * 0.46, h * 0.34, _mix(c, (20, 30, 30), 0.18))
        self.ellipse(x - w * 0.08, y - h * 0.70, w * 0.36, h * 0.27, c)

    def paint_tower(self, ob):
        x, y, w, h, c = self.box(ob)
        self.shadow(x, y, w)
        self.d.polygon(
            [(x - w * 0.44, y), (x - w * 0.34, y - h * 0.80), (x + w * 0.34, y - h * 0.80), (x + w * 0.44, y)], fill=c
        )
        self.d.rectangle((x - w * 0.46, y - h * 0.86, x + w * 0.46, y - h * 0.78), fill=_mix(c, (30, 26, 40), 0.45))
        self.d.polygon(
            [(x - w * 0.42, y - h * 0.85), (x, y - h), (x + w * 0.42, y - h * 0.85)], fill=_mix(c, (30, 26, 40), 0.45)
        )
        win = (255, 230, 120) if self.s["sky"] in ("night", "sunset") else _mix(c, (20, 24, 50), 0.6)
        for k in (0.62, 0.36):
            self.d.rectangle((x - w * 0.12, y - h * k - 3 * self.k, x + w * 0.12, y - h * k + 3 * self.k), fill=win)

    def paint_cactus(self, ob):
        x, y, w, h, c = self.box(ob)
        t = w * 0.15
        self.shadow(x, y, w * 0.6)
        for sx, y0, y1 in ((-1, 0.42, 0.72), (1, 0.30, 0.62)):
            self.d.rounded_rectangle(
                (x + sx * w * 0.40 - t * 0.8, y - h * y1, x + sx * w * 0.40 + t * 0.8, y - h * y0 + t * 0.8),
                t * 0.7,
                fill=c,
            )
            self.d.rectangle(
                (min(x, x + sx * w * 0.40), y - h * y0 - t * 0.6, max(x, x + sx * w * 0.40), y - h * y0 + t * 0.8),
                fill=c,
            )
        self.d.rounded_rectangle((x - t, y - h, x + t, y), t * 0.9, fill=_mix(c, (255, 255, 255), 0.06))

    def paint_boat(self, ob):
        x, y, w, h, c = self.box(ob)
        self.ellipse(x, y, w * 0.5, 2 * self.k, self.g((14, 60, 120)))
        self.d.polygon(
            [(x - w * 0.50, y - h * 0.24), (x + w * 0.50, y - h * 0.24), (x + w * 0.34, y), (x - w * 0.34, y)], fill=c
        )
        self.d.line((x, y - h * 0.2, x, y - h), fill=self.o((110, 78, 52)), width=self.k * 2)
        sail = self.o((250, 248, 240)) if ob["colour"] != "white" else self.o((236, 232, 222))
        self.d.polygon(
            [(x + w * 0.06, y - h * 0.98), (x + w * 0.06, y - h * 0.32), (x + w * 0.44, y - h * 0.32)], fill=sail
        )
        self.d.polygon(
            [(x - w * 0.06, y - h * 0.86), (x - w * 0.06, y - h * 0.32), (x - w * 0.36, y - h * 0.32)],
            fill=_mix(sail, (150, 160, 180), 0.2),
        )

    def paint_balloon(self, ob):
        x, y, w, h, c = self.box(ob)
        cy, rx, ry = y - h * 0.10, w * 0.5, h * 0.40
        self.d.polygon(
            [
                (x - rx * 0.86, cy + ry * 0.45),
                (x + rx * 0.86, cy + ry * 0.45),
                (x + w * 0.12, y + h * 0.42),
                (x - w * 0.12, y + h * 0.42),
            ],
            fill=_mix(c, (30, 26, 40), 0.18),
        )
        self.ellipse(x, cy, rx, ry, _mix(c, (30, 26, 40), 0.10))
        self.ellipse(x, cy, rx * 0.55, ry, _mix(c, (255, 255, 255), 0.14))
        self.d.rectangle((x - w * 0.13, y + h * 0.44, x + w * 0.13, y + h * 0.60), fill=self.o((128, 84, 48)))


def render(scene):
    return _Painter(scene).render()


# ----------------------------------------------------------------------------------------------- captions

SKY_WORDS = {
    "day": ["blue sky", "a blue sky", "a clear blue sky", "bright day", "sunny day", "daytime"],
    "sunset": ["sunset", "sunset sky", "a sunset", "orange sunset", "at sunset", "evening sky"],
    "night": ["night", "at night", "starry night", "night sky", "dark night sky with stars", "stars"],
    "storm": ["storm", "stormy sky", "a stormy sky", "grey storm clouds", "dark clouds"],
    "dawn": ["pink sky", "a pink sky", "dawn", "at dawn", "soft pink morning sky"],
}
GROUND_WORDS = {
    "grass": ["grass", "green grass", "a green meadow", "a meadow", "green hills", "a grassy field"],
    "sand": ["sand", "the sand", "the desert", "a desert", "sand dunes", "a sandy desert"],
    "snow": ["snow", "the snow", "white snow", "a snowy field", "winter snow"],
    "sea": ["the sea", "sea", "the ocean", "blue water", "the water", "calm sea"],
    "city": ["a city", "city", "a city street", "city skyline", "the city", "a town"],
    "forest": ["a forest", "forest", "the woods", "a pine forest", "the forest"],
    "mountains": ["mountains", "the mountains", "tall mountains", "a mountain valley", "the hills and mountains"],
    "lavender": ["a lavender field", "lavender", "purple flowers", "a field of lavender", "lavender flowers"],
}
OBJECT_WORDS = {
    "house": ["house", "house", "house", "cottage"],
    "tree": ["tree"],
    "tower": ["tower", "tower", "lighthouse"],
    "balloon": ["balloon", "balloon", "hot air balloon"],
    "boat": ["boat", "boat", "sailboat", "sailing boat"],
    "cactus": ["cactus"],
    "sun": ["sun"],
    "moon": ["moon", "full moon"],
}
PREFIX = [
    "a picture of",
    "a painting of",
    "an illustration of",
    "a storybook picture of",
    "a photo of",
    "a drawing of",
    "a beautiful picture of",
    "an image of",
]
WIDE_PREFIX = ["a panorama of", "a wide view of"]
PLURALS = {
    "house": "houses",
    "tree": "trees",
    "tower": "towers",
    "balloon": "balloons",
    "boat": "boats",
    "cactus": "cacti",
}
SUFFIX = [
    ", high quality",
    ", detailed",
    ", beautiful",
    ", high quality, detailed",
    ", best quality",
    ", masterpiece",
    ", colorful",
    ", landscape",
    ", storybook style",
]
EXTRA_WORDS = [
    "and",
    "or",
    "on",
    "in",
    "under",
    "over",
    "above",
    "with",
    "near",
    "next",
    "to",
    "by",
    "left",
    "right",
    "middle",
    "side",
    "a",
    "an",
    "the",
    "of",
    "two",
    "many",
    "big",
    "small",
    "large",
    "little",
    "low",
    "quality",
    "worst",
    "bad",
    "blurry",
    "ugly",
    "nothing",
    "empty",
    "black",
    "gray",
    "grey",
    "brown",
    "gold",
    "color",
    "colour",
    "very",
    "scenery",
    "background",
    "foreground",
    "horizon",
    "trees",
    "houses",
    "towers",
    "boats",
    "balloons",
    "cacti",
    "cloud",
    "clouds",
    "cloudy",
    "rain",
    "light",
    "art",
    "one",
    "three",
    "no",
    "not",
    "is",
    "there",
    "scene",
    "tile",
    "region",
    "wide",
    "far",
    "away",
]


def name_objects(scene, r):
    """What the picture holds, as a list of (words, is it in the sky): equal things are counted, nothing is left out."""
    groups = {}
    merge = r.random() < 0.3  # "two houses" for a red and a blue one
    for ob in scene["objects"]:
        groups.setdefault((ob["kind"], None if merge else ob["colour"]), []).append(ob)
    names = []
    for (kind, _), obs in groups.items():
        colours = {ob["colour"] for ob in obs}
        colour = ""
        if len(colours) == 1 and r.random() < (0.3 if kind in ("sun", "moon", "cactus") else 0.96):
            colour = obs[0]["colour"] + " "
        if scene.get("zoom", 1) > 1 and r.random() < 0.4:
            colour = r.choice(["big ", "large "]) + colour
        if len(obs) > 1:
            many = "many" if len(obs) > 3 else ["two", "three"][len(obs) - 2]
            text = ("" if r.random() < 0.25 else many + " ") + colour + PLURALS[kind]
        else:
            text = colour + r.choice(OBJECT_WORDS[kind])
            k = r.random()
            if k < 0.85:
                one = "the " if kind in ("sun", "moon") and k < 0.4 else "one " if k < 0.06 else ""
                text = (one or ("an " if text[0] in "aeiou" else "a ")) + text
        names.append((text, kind in ("sun", "moon", "balloon")))
    r.shuffle(names)
    return names


def make_caption(scene, seed=None):
    """A caption that varies in word order; it may leave out sky or ground, but no object."""
    r = random.Random((scene["seed"] if seed is None else seed) * 31337 + 7)
    sky = r.choice(SKY_WORDS[scene["sky"]]) if r.random() > (0.10 if scene.get("sky_seen", True) else 0.6) else ""
    ground = r.choice(GROUND_WORDS[scene["ground"]]) if scene.get("ground_seen", True) and r.random() > 0.08 else ""
    names = name_objects(scene, r)
    objs = [n for n, _ in names]
    joined = " and ".join(objs)
    if len(objs) > 1:
        joined = ", ".join(objs[:-1]) + r.choice([" and ", ", "]) + objs[-1]
    in_sky = bool(names) and all(up for _, up in names)
    bare = sky.removeprefix("at ")
    style = r.random()
    if not (sky or ground or objs):
        text = r.choice(["a landscape", "landscape", "scenery", "a picture"])
    elif style < 0.30:  # a comma list in any order
        parts = [p for p in [*objs, ground, sky] if p]
        r.shuffle(parts)
        text = ", ".join(parts)
    elif style < 0.75 and joined:  # "a red house on grass, blue sky"
        text = joined
        if ground:
            text += (
                " " + r.choice(["over", "above", "over", "on"] if in_sky else ["on", "on", "in", "near"]) + " " + ground
            )
        if sky:
            text += " " + sky if sky.startswith("at ") else r.choice([", ", ", ", ", ", " under ", " with "]) + sky
    elif style < 0.87 and sky:  # "sunset over the sea with a boat"
        text = bare + (" over " + ground if ground else "") + (r.choice([" with ", ", "]) + joined if joined else "")
    else:  # "snow with a red house at night"
        text = ground or bare
        if joined:
            text = text + r.choice([" with ", " and ", ", "]) + joined if text else joined
        if ground and sky:
            text += " " + sky if sky.startswith("at ") else r.choice([", ", " under "]) + sky
    if scene.get("zoom", 1) > 1 and not ("big" in text or "large" in text) and r.random() < 0.85:
        text = "close up of " + text
    elif r.random() < 0.25:
        text = r.choice(PREFIX if scene["width"] == 128 else PREFIX + WIDE_PREFIX * 4) + " " + text
    if r.random() < 0.20:
        text += r.choice(SUFFIX)
    if r.random() < 0.02:  # a word never heard of must do no harm
        words = text.split(" ")
        new = "".join(r.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(r.randint(2, 6)))
        words.insert(r.randint(0, len(words)), new)
        text = " ".join(words)
    return text


def make_sample(seed, width=128, height=128):
    """Picture, caption and scene; one in eight pictures of 128x128 is a magnified window."""
    if (width, height) == (128, 128) and random.Random(seed * 17 + 1).random() < 0.125:
        scene = make_zoomed(seed)
    else:
        scene = make_scene(seed, width, height)
    return render(scene), make_caption(scene), scene


def vocabulary():
    """All words and signs of the captions, most common first; the tokenizer has one token for each."""
    texts = PREFIX[:-1] + WIDE_PREFIX + PREFIX[-1:] + SUFFIX + list(COLOURS)
    for d in (SKY_WORDS, GROUND_WORDS, OBJECT_WORDS):
        for v in d.values():
            texts += v
    words = []
    for t in (
        texts
        + EXTRA_WORDS
        + [",", ".", ":", ";", "(", ")", "[", "]", "-", "!", "?", "'", '"', "/"]
        + [str(i) for i in range(10)]
    ):
        for w in t.replace(",", " , ").split():
            if w not in words:
                words.append(w)
    return words


def contact_sheet(images, labels, path, cols=8, wrap=22, scale=1):
    """PNG with pictures and their labels."""
    w, h = max(i.width for i in images) * scale, max(i.height for i in images) * scale
    lab = 36
    rows = -(-len(images) // cols)
    sheet = Image.new("RGB", (cols * (w + 4), rows * (h + lab)), (255, 255, 255))
    d = ImageDraw.Draw(sheet)
    for k, (im, text) in enumerate(zip(images, labels, strict=False)):
        x, y = (k % cols) * (w + 4), (k // cols) * (h + lab)
        sheet.paste(im.resize((im.width * scale, im.height * scale), Image.BICUBIC) if scale != 1 else im, (x, y))
        d.text((x + 1, y + h), "\n".join(textwrap.wrap(text, wrap * scale)[:3]), fill=(0, 0, 0), spacing=0)
    sheet.save(path)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sheet"), p.add_argument("--export"), p.add_argument("--words", action="store_true")
    p.add_argument("--count", type=int, default=40), p.add_argument("--seed", type=int, default=0)
    p.add_argument("--width", type=int, default=128), p.add_argument("--height", type=int, default=128)
    a = p.parse_args()
    if a.words:
        print(len(vocabulary()), "words:", " ".join(vocabulary()))
    if a.sheet:
        s = [make_sample(a.seed + i, a.width, a.height) for i in range(a.count)]
        contact_sheet([x[0] for x in s], [x[1] for x in s], a.sheet)
    if a.export:
        os.makedirs(a.export, exist_ok=True)
        with open(os.path.join(a.export, "metadata.jsonl"), "w") as f:
            for i in range(a.count):
                im, text, scene = make_sample(a.seed + i, a.width, a.height)
                im.save(os.path.join(a.export, f"{a.seed + i:06d}.png"))
                f.write(json.dumps({"file_name": f"{a.seed + i:06d}.png", "text": text, "scene": scene}) + "\n")


if __name__ == "__main__":
    main()
