"""Functions, classes and files stay short enough to be read in one go."""

import ast
from pathlib import Path
from statistics import median, quantiles

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("tiled_diffusion", "tiled_vae")
PRODUCT = (*PACKAGES, "training", "bench", "scripts")
MOST = {"function": 60, "class": 150, "file": 350}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def product():
    return [*sources(*PRODUCT), ROOT / "install.py"]


def lengths(text, kind):
    """Lines of every function or class of a source, nested ones too, by name and first line; decorators do not count."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kind)]
    return {f"{node.name}:{node.lineno}": node.end_lineno - node.lineno + 1 for node in nodes}


def parts(text):
    """Lengths of all that has a limit."""
    return {
        "function": lengths(text, FUNCTIONS),
        "class": lengths(text, ast.ClassDef),
        "file": {"": len(text.splitlines())},
    }


def too_long(text, kind):
    return {name: lines for name, lines in parts(text)[kind].items() if lines > MOST[kind]}


@pytest.mark.parametrize("kind", MOST)
def test_nothing_is_longer_than_its_limit(kind):
    files = product()
    assert all(any(folder in path.parents for path in files) for folder in map(ROOT.joinpath, PRODUCT))
    over = {str(path.relative_to(ROOT)): too_long(path.read_text("utf-8"), kind) for path in files}
    assert {path: names for path, names in over.items() if names} == {}


def test_most_functions_of_the_packages_are_shorter_still():
    values = [n for path in sources(*PACKAGES) for n in lengths(path.read_text("utf-8"), FUNCTIONS).values()]
    middle, nine_in_ten = median(values), quantiles(values, n=10)[-1]
    assert (middle <= 6, nine_in_ten <= 20) == (True, True), f"median {middle}, p90 {nine_in_ten} of {len(values)}"


def body(lines, indent=4):
    return (" " * indent + "x = 1\n") * lines


PLANTED = {
    "function": lambda n: f"@decorated\n@twice\ndef f():\n{body(n - 1)}",
    "class": lambda n: f"class C:\n{body(n - 1)}",
    "file": lambda n: body(n, 0),
}
NESTED = {
    "function": lambda n: f"class C:\n    async def f(self):\n{body(n - 1, 8)}",
    "class": lambda n: f"def f():\n    class C:\n{body(n - 1, 8)}",
}


@pytest.mark.parametrize(("kind", "make"), [*PLANTED.items(), *NESTED.items()])
def test_a_planted_one_of_one_line_too_many_is_seen(kind, make):
    assert not too_long(make(MOST[kind]), kind)
    assert list(too_long(make(MOST[kind] + 1), kind).values()) == [MOST[kind] + 1]
