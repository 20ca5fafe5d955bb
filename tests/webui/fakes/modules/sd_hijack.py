"""The text encoder's remarks, and how it counts."""


class StableDiffusionModelHijack:
    def __init__(self):
        self.extra_generation_params, self.comments = {}, []

    def get_prompt_lengths(self, text):
        count = len(text.split())
        return count, 75 * max(1, -(-count // 75))


model_hijack = StableDiffusionModelHijack()
