"""State of the program."""

from types import SimpleNamespace

import torch

device = torch.device("cpu")
opts = SimpleNamespace()
state = SimpleNamespace(interrupted=False, skipped=False, textinfo="")
sd_model = None
sd_upscalers = []
cmd_opts = SimpleNamespace(gradio_auth=None, gradio_auth_path=None)


class _PromptStyles:
    def __init__(self):
        self.styles = {}

    def apply_styles_to_prompt(self, prompt, styles):
        return self._applied(prompt, [getattr(self.styles.get(s), "prompt", s) for s in styles])

    def apply_negative_styles_to_prompt(self, prompt, styles):
        return self._applied(prompt, [getattr(self.styles.get(s), "negative_prompt", "") for s in styles])

    def _applied(self, prompt, styles):
        for style in styles:
            parts = filter(None, (prompt.strip(), style.strip()))
            prompt = style.replace("{prompt}", prompt) if "{prompt}" in style else ", ".join(parts)
        return prompt


prompt_styles = _PromptStyles()


class OptionInfo:
    def __init__(self, default=None, label="", component=None, component_args=None, section=None):
        self.default, self.label = default, label
