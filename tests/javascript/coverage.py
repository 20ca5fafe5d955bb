"""Reads node's test report, passes it on, and fails where a test did or a DOM-free file is covered by less than 90 %."""

import re
import sys

FILES = (
    "region_base.js", "region_box.js", "region_corners.js", "region_data.js", "region_drag.js", "region_layout.js", "region_mask.js",
    "region_routes.js", "region_store.js", "region_text.js", "region_ui_commands.js",
)  # fmt: skip
LEAST = 90.0


def main() -> int:
    """The exit status."""
    found, failed = {}, False
    for line in sys.stdin:
        if re.match(r"\s*(not ok|✖)", line):
            failed = True
        if not re.match(r"\s*(ok|✔|---|\.\.\.|duration_ms|type:|1\.\.|# Subtest)", line):
            print(line, end="")
        match = re.search(r"(region_\w+\.js)\s*\|\s*([\d.]+)", line)
        if match:
            found[match[1]] = float(match[2])
    low = {name: found.get(name) for name in FILES if found.get(name, 0.0) < LEAST}
    if low:
        print(f"covered by less than {LEAST:g} % of their lines: {low}")
    return 1 if failed or low else 0


if __name__ == "__main__":
    sys.exit(main())
