"""Samplers by name."""


class _SamplerData:
    def __init__(self, second_order=False):
        self.second_order = second_order

    def total_steps(self, steps):
        return steps * 2 if self.second_order else steps


def find_sampler_config(name):
    return _SamplerData(name in ("Heun", "DPM++ SDE"))
