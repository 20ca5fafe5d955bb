"""Stands for the peer extension, by its folder and its titles: it draws nothing of its own."""

import gradio as gr
from modules import scripts


class Peer(scripts.Script):
    def title(self):
        return "Tiled Diffusion"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Checkbox(False, label="The peer's switch", visible=False), gr.Textbox("", label="Its settings", visible=False)]
