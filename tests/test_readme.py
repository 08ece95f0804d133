"""What the README says can be done with Python is done."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from wan_core.media.read import read_image, read_video

ROOT = Path(__file__).resolve().parent.parent


def test_the_example_of_image_to_video_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "demo-image" in block]
    assert len(code.strip().splitlines()) <= 12
    shutil.copytree(ROOT / "assets" / "examples", tmp_path / "assets" / "examples")
    surroundings = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=surroundings,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["square.mp4", "i2v"]
    frames = read_video(tmp_path / "square.mp4").frames
    given = read_image(ROOT / "assets" / "examples" / "square-first.png")
    assert frames.shape == (17, 64, 64, 3)
    assert np.abs(frames[0].astype(int) - given).mean() < 12
