"""The stand-in against the real WebUI: same names, same parameters. Needs WEBUI_DIR; reads its source, runs nothing."""

import ast
import os
from pathlib import Path

import pytest

FAKES = Path(__file__).parent / "fakes" / "modules"
WEBUI = os.environ.get("WEBUI_DIR")
OWN = {"embedded", "schedule", "registered", "_keep", "CHANNELS", "CHUNK"}
"""Helpers of the stand-in that the WebUI need not have."""


def defined(path):
    """Top-level names of a file, with their nodes; for plain assignments and imports the name alone."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.setdefault(node.name, node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, None)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                found.setdefault(alias.asname or alias.name.split(".")[0], None)
    return found


def top(path):
    """Names that the stand-in offers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    names |= {t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    return {name for name in names if name not in OWN and not name.startswith("_")}


def parameters(node):
    """Names of the parameters, without self."""
    args = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    return [a for a in args if a != "self"]


@pytest.mark.skipif(not WEBUI, reason="WEBUI_DIR is not set: the real WebUI is not there to compare with")
@pytest.mark.parametrize("fake", sorted(FAKES.glob("*.py")), ids=lambda p: p.stem)
def test_the_stand_in_is_like_the_real_one(fake):
    if fake.stem == "__init__":
        return
    real_path = Path(WEBUI) / "modules" / fake.name
    assert real_path.is_file(), f"the WebUI has no modules/{fake.name}"
    real, ours = defined(real_path), defined(fake)
    for name in top(fake):
        assert name in real, f"modules/{fake.name} has no {name}"
        mine, theirs = ours[name], real[name]
        if isinstance(mine, ast.FunctionDef) and isinstance(theirs, ast.FunctionDef):
            assert parameters(mine) == parameters(theirs)[: len(parameters(mine))], name
        if isinstance(mine, ast.ClassDef) and isinstance(theirs, ast.ClassDef):
            methods = {n.name: n for n in theirs.body if isinstance(n, ast.FunctionDef)}
            for method in (n for n in mine.body if isinstance(n, ast.FunctionDef)):
                if method.name in methods and not method.args.kwarg:
                    own, other = parameters(method), parameters(methods[method.name])
                    assert own == other[: len(own)], f"{name}.{method.name}"
