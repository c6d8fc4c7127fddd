"""
The wheel holds the rooms under `wristwise/`, with their imports rewritten (docs/adr/0001-house.md).

In the source tree the rooms are top-level packages, so every tool sees plain imports. In the published wheel they must
not collide with a user's own `data`, `models` or `services`: `from data.recording import …` becomes
`from wristwise.data.recording import …`, and `wristwise.py` becomes `wristwise/__init__.py`.
"""

from __future__ import annotations

import ast
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOMS = ("data", "pipelines", "models", "services")
PACKAGE = "wristwise"


def rewrite(source: str, name: str) -> str:
    """
    Return `source` with the imports of rooms moved under `wristwise`.

    Raises
    ------
    ValueError
        If a room is imported as `import room.x`, which cannot be moved without touching its uses.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source, name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in ROOMS:
                    raise ValueError(f"{name}:{node.lineno} has 'import {alias.name}'; write 'from room.x import y'")
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] in ROOMS:
            line = lines[node.lineno - 1]
            lines[node.lineno - 1] = line.replace(f"from {node.module}", f"from {PACKAGE}.{node.module}", 1)
    return "".join(lines)


def lay_out(root: Path, target: Path) -> dict[str, str]:
    """Write the published layout of the tree at `root` into `target`; return {file: path in the wheel}."""
    shutil.rmtree(target, ignore_errors=True)
    placed: dict[str, str] = {}
    sources = [(root / f"{PACKAGE}.py", Path(PACKAGE) / "__init__.py")]
    for room in ROOMS:
        files = (p for p in sorted((root / room).rglob("*")) if p.is_file() and "__pycache__" not in p.parts)
        sources += [(p, Path(PACKAGE) / p.relative_to(root)) for p in files]
    for source, inside in sources:
        out = target / inside
        out.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".py":
            out.write_text(rewrite(source.read_text(encoding="utf-8"), str(source)), encoding="utf-8")
        else:
            shutil.copyfile(source, out)
        placed[str(out)] = str(inside)
    main = target / PACKAGE / "__main__.py"
    main.write_text(f"from {PACKAGE} import main\n\nmain()\n", encoding="utf-8")
    placed[str(main)] = f"{PACKAGE}/__main__.py"
    typed = target / PACKAGE / "py.typed"
    typed.touch()
    placed[str(typed)] = f"{PACKAGE}/py.typed"
    return placed


class WheelHook(BuildHookInterface[Any]):
    """Hatchling's hook: fills the wheel with the published layout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Lay the files out, unless this is an editable install (which points at the tree itself)."""
        if version == "standard":
            # A folder of its own: two builds of one tree may run at once.
            self._layout = tempfile.mkdtemp(prefix="wristwise-wheel-")
            build_data["force_include"].update(lay_out(Path(self.root), Path(self._layout)))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the layout."""
        del version, build_data, artifact_path
        shutil.rmtree(getattr(self, "_layout", ""), ignore_errors=True)
