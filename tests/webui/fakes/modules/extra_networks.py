"""<kind:name:weight> tags in prompts."""

import re
from collections import defaultdict


class ExtraNetworkParams:
    def __init__(self, items=None):
        self.items = items or []


def parse_prompt(prompt):
    found = defaultdict(list)

    def note(match):
        found[match[1]].append(ExtraNetworkParams(match[2].split(":")))
        return ""

    return re.sub(r"<(\w+):([^>]+)>", note, prompt), found
