"""Shows or writes pictures of the data set.

python -m training.dataset --sheet sheet.png          # contact sheet of 40 samples with captions
python -m training.dataset --export DIR --count 1000  # PNG + metadata.jsonl
python -m training.dataset --words                    # the whole vocabulary
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from training.dataset import contact_sheet, make_sample, vocabulary


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, help="file of the contact sheet")
    parser.add_argument("--export", type=Path, help="folder of the pictures")
    parser.add_argument("--words", action="store_true")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="of the first sample")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--height", type=int, default=128)
    return parser.parse_args()


def export(folder: Path, seeds: range, width: int, height: int) -> None:
    """Writes the pictures, and a line of JSON for each."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.jsonl").open("w") as file:
        for seed in seeds:
            picture, caption, scene = make_sample(seed, width, height)
            picture.save(folder / f"{seed:06d}.png")
            file.write(json.dumps({"file_name": f"{seed:06d}.png", "text": caption, "scene": scene}) + "\n")


def main() -> None:
    """Runs what the command line asks for."""
    options = parsed()
    seeds = range(options.seed, options.seed + options.count)
    if options.words:
        print(len(vocabulary()), "words:", " ".join(vocabulary()))
    if options.sheet:
        samples = [make_sample(seed, options.width, options.height) for seed in seeds]
        contact_sheet([picture for picture, _, _ in samples], [caption for _, caption, _ in samples], options.sheet)
    if options.export:
        export(options.export, seeds, options.width, options.height)


if __name__ == "__main__":
    main()
