"""What may run code out of a file is called nowhere; checkpoints and foreign media have one door each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_architecture import ROOT, sources, tree

pytestmark = pytest.mark.faults

# What may be called in these files alone; nowhere, where there are none. A name that begins with a dot is a
# method of whatever stands before it.
ALLOWED: dict[str, tuple[str, ...]] = {
    "eval": (),
    "exec": (),
    "compile": (),
    "__import__": (),
    "pickle.load": (),
    "pickle.loads": (),
    "pickle.Unpickler": (),
    "marshal.loads": (),
    "shelve.open": (),
    "dill.load": (),
    "joblib.load": (),
    "yaml.load": (),
    "os.system": (),
    "os.popen": (),
    "numpy.load": (),
    "np.load": (),
    ".extractall": (),
    ".extract": (),
    "shutil.unpack_archive": (),
    "tarfile.open": (),
    "torch.hub.load": (),
    "torch.jit.load": (),
    "torch.load": ("wan_core/manager/checkpoint_file.py",),
    "torch.from_file": ("wan_core/manager/gguf_file.py",),
    "safe_open": ("wan_core/manager/checkpoint_file.py", "wan_core/pipelines/latents.py"),
    "load_file": ("wan_core/training/latents.py", "wan_core/training/kept_clips.py"),
    "Image.open": (
        "wan_core/media/picture_process.py",
        "wan_core/media/comments.py",  # a picture that was just written
        "wan_core/media/exporting.py",  # results, as PNG or WebP only
    ),
    "zipfile.ZipFile": (
        "wan_core/manager/headers/pth.py",
        "wan_core/jobs/queue_zip.py",  # known names only, judged by the directory, bounded
        "wan_core/media/encoding.py",  # writes
        "wan_core/media/exporting.py",  # names of frames only, one at a time, bounded
    ),
    "imageio_ffmpeg.get_ffmpeg_exe": (
        "wan_core/media/ffmpeg.py",
        "wan_core/media/encoders.py",  # asks what there is
        "wan_core/media/frame_pipe.py",  # frames of our own
    ),
}
BANNED_MODULES = {
    "dill",
    "joblib",
    "cloudpickle",
    "shelve",
    "marshal",
    "yaml",
    "av",
    "cv2",
    "imageio",
    "torchvision",
}


def called(source: str) -> Iterator[tuple[str, ast.Call]]:
    """The dotted name of everything that a file calls."""
    for node in ast.walk(tree(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def is_it(name: str, banned: str) -> bool:
    if banned.startswith("."):
        return name.endswith(banned)
    return name == banned or name == f"builtins.{banned}"


@pytest.mark.parametrize("banned", ALLOWED)
def test_a_loader_is_called_only_where_it_may_be(banned: str) -> None:
    users = {source for source in sources() for name, _ in called(source) if is_it(name, banned)}
    assert users <= set(ALLOWED[banned])


def test_pickles_are_loaded_with_weights_only() -> None:
    calls = [node for source in sources() for name, node in called(source) if name.endswith("torch.load")]
    assert calls
    for node in calls:
        told = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert told.get("weights_only") == "True" and len(node.args) == 1


def test_code_of_repositories_is_never_trusted() -> None:
    """``trust_remote_code`` may only be said to be False."""
    for source in sources():
        for node in ast.walk(tree(source)):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                assert ast.unparse(node.value) == "False", source
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "trust_remote_code":
                        assert ast.unparse(value) == "False", source


def test_models_of_others_are_read_from_safetensors_on_this_machine() -> None:
    calls = [
        (source, node) for source in sources() for name, node in called(source) if "from_pretrained" in name
    ]
    told = {(source, ast.unparse(node)) for source, node in calls if not source.startswith("wan_core/bench/")}
    assert told
    for source, text in told:
        assert "local_files_only=True" in text or "**closed" in text, source
        assert "use_safetensors=True" in text or text.startswith("AutoTokenizer."), source


def test_no_module_comes_in_that_could_do_it() -> None:
    for source in sources():
        for node in ast.walk(tree(source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & BANNED_MODULES, source


def test_no_program_is_started_through_a_shell() -> None:
    for source in sources():
        for name, node in called(source):
            assert not any(keyword.arg == "shell" for keyword in node.keywords), f"{source}: {name}"


def test_the_list_is_of_files_that_are_there() -> None:
    assert all(Path(ROOT, file).is_file() for files in ALLOWED.values() for file in files)
