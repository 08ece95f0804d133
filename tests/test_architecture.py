"""The layers, the banned imports and the sizes that docs/architecture.md promises, from the source itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# The longest matching prefix of a file's path decides its layer.
LAYERS = {
    "app.py": 9,
    "ui/": 8,
    "wan_core/api.py": 8,
    "wan_core/cli.py": 8,
    "wan_core/cli_request.py": 7,
    "wan_core/cli_export.py": 8,
    "wan_core/cli_loras.py": 8,
    "wan_core/cli_queue.py": 8,
    "wan_core/bench/": 7,
    "wan_core/recipes.py": 7,
    "wan_core/cli_prompts.py": 8,
    "wan_core/__main__.py": 8,
    "wan_core/__init__.py": 0,
    "wan_core/failpoints.py": 0,
    "wan_core/jobs/": 7,
    "wan_core/engine.py": 6,
    "wan_core/rescue.py": 6,
    "wan_core/result_files.py": 6,
    "wan_core/stage_clock.py": 6,
    "wan_core/training/": 6,
    "wan_core/manager/": 5,
    "wan_core/pipelines/": 5,
    "wan_core/catalog/": 4,
    "wan_core/guidance/": 4,
    "wan_core/prompts/": 4,
    "wan_core/media/": 3,
    "wan_core/acceleration/": 3,
    "wan_core/lora/": 3,
    "wan_core/quantization/": 3,
    "wan_core/upscaling/": 3,
    "wan_core/models/": 2,
    "wan_core/schedulers/": 2,
    "wan_core/ops/": 1,
    "wan_core/confined/": 0,
    "wan_core/schema/": 0,
}

# What the web process imports: none of these may import torch when they are imported.
TORCH_FREE = (
    "app.py",
    "ui/",
    "wan_core/schema/",
    "wan_core/confined/",
    "wan_core/catalog/",
    "wan_core/cli.py",
    "wan_core/cli_request.py",
    "wan_core/cli_export.py",
    "wan_core/cli_loras.py",
    "wan_core/cli_queue.py",
    "wan_core/cli_prompts.py",
    "wan_core/jobs/store.py",
    "wan_core/jobs/supervisor.py",
    "wan_core/jobs/executors.py",
    "wan_core/manager/errands.py",
    "wan_core/manager/lora_errands.py",
    "wan_core/manager/kept_forms.py",
    "wan_core/manager/kept_settings.py",
    "wan_core/manager/stock.py",
    "wan_core/manager/verify.py",
    "wan_core/manager/planner.py",
    "wan_core/manager/found_file.py",
    "wan_core/manager/headers/",
    "wan_core/manager/library.py",
    "wan_core/manager/recognise.py",
    "wan_core/manager/restoring.py",
    "wan_core/manager/file_hashes.py",
    "wan_core/manager/origins.py",
    "wan_core/manager/restoring.py",
    "wan_core/manager/weights.py",
    "wan_core/recipes.py",
    "wan_core/media/",
    "wan_core/lora/card.py",
    "wan_core/lora/presets.py",
    "wan_core/lora/shelf.py",
    "wan_core/upscaling/shelf.py",
    "wan_core/models/umt5/tokenizer.py",
    "wan_core/prompts/",
)
HEAVY = {"torch", "transformers", "safetensors", "diffusers"}

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_PARAMETERS = 7

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[str]:
    """Every source file of the program, relative to the root."""
    paths = [*ROOT.glob("*.py"), *(ROOT / "ui").rglob("*.py"), *(ROOT / "wan_core").rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in paths)


@cache
def tree(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text(encoding="utf-8"))


def layer(source: str) -> int:
    return LAYERS[max((prefix for prefix in LAYERS if source.startswith(prefix)), key=len)]


def nodes(node: ast.AST, at_import: bool) -> Iterator[ast.AST]:
    """All nodes below; with ``at_import`` only what runs when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if at_import and (isinstance(child, Function | ast.Lambda) or _is_type_checking(child)):
            continue
        yield child
        yield from nodes(child, at_import)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imported_modules(source: str, at_import: bool = False) -> set[str]:
    """Dotted names of what a file imports; ``from a import b`` counts as ``a.b`` and ``a``."""
    names: set[str] = set()
    for node in nodes(tree(source), at_import):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}:{node.lineno} imports relatively"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def file_of(module: str) -> str | None:
    """The project's file of a dotted name; None when it is another project's, or no module."""
    path = module.replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if (ROOT / file).is_file()), None)


def imported_files(source: str, at_import: bool = False) -> set[str]:
    return {file for module in imported_modules(source, at_import) if (file := file_of(module))}


def loaded_files(source: str) -> set[str]:
    """The files that importing ``source`` loads, with the ``__init__`` of each package on the way."""
    seen: set[str] = set()
    waiting = [source]
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        parents = [f"{parent.as_posix()}/__init__.py" for parent in Path(file).parents][:-1]
        waiting += [parent for parent in parents if (ROOT / parent).is_file()]
        waiting += imported_files(file, at_import=True)
    return seen


def functions(source: str) -> Iterator[Function]:
    return (node for node in ast.walk(tree(source)) if isinstance(node, Function))


@pytest.mark.parametrize("source", sources())
def test_imports_go_down(source: str) -> None:
    folder = Path(source).parent
    upward = {
        file
        for file in imported_files(source)
        if layer(file) >= layer(source) and Path(file).parent != folder and not _same_package(file, source)
    }
    assert not upward


def _same_package(one: str, other: str) -> bool:
    """``wan_core/models/dit`` and ``ui/tabs`` are packages of their own folder's files and sub-folders."""
    package = {name for name in LAYERS if name.endswith("/") and one.startswith(name)}
    sharing = any(other.startswith(name) for name in package)
    return sharing and not one.startswith("wan_core/models/")


def test_pipelines_do_not_know_the_manager() -> None:
    files = [source for source in sources() if source.startswith("wan_core/pipelines/")]
    assert not {(f, m) for f in files for m in imported_files(f) if m.startswith("wan_core/manager/")}


@pytest.mark.parametrize("source", sources())
def test_gradio_stays_in_the_ui(source: str) -> None:
    uses = {module for module in imported_modules(source) if module.split(".")[0] == "gradio"}
    assert not uses or source.startswith("ui/")


@pytest.mark.parametrize("source", [s for s in sources() if s.startswith(TORCH_FREE)])
def test_the_web_process_stays_light(source: str) -> None:
    heavy = {
        (file, module)
        for file in loaded_files(source)
        for module in imported_modules(file, at_import=True)
        if module.split(".")[0] in HEAVY
    }
    assert not heavy


@pytest.mark.parametrize("source", sources())
def test_nothing_imports_the_oracles(source: str) -> None:
    only = {"diffusers": "wan_core/bench/rivals.py", "diffsynth": "wan_core/bench/rivals_diffsynth.py"}
    imported = {module.split(".")[0] for module in imported_modules(source)} & only.keys()
    assert imported <= {package for package, place in only.items() if place == source}


@pytest.mark.parametrize("source", sources())
def test_files_and_functions_are_short(source: str) -> None:
    assert len((ROOT / source).read_text(encoding="utf-8").splitlines()) < MAX_FILE_LINES
    lengths = {f.name: f.end_lineno - f.lineno + 1 for f in functions(source)}
    assert not {name for name, length in lengths.items() if length >= MAX_FUNCTION_LINES}


@pytest.mark.parametrize("source", sources())
def test_functions_take_few_arguments(source: str) -> None:
    def count(function: Function) -> int:
        arguments = function.args
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        return len([name for name in names if name not in ("self", "cls")])

    assert not {f.name for f in functions(source) if count(f) > MAX_PARAMETERS}
