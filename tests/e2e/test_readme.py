"""The README's ten minutes, word for word: with a stock git client, curl and the command line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def story() -> str:
    text = (ROOT / "README.md").read_text()
    section = text.split("## Ten minutes", 1)[1].split("\n## ", 1)[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))


def test_the_ten_minutes_run_word_for_word(tmp_path):
    assert shutil.which("curl"), "curl is not installed: the story cannot be told"
    home = tmp_path / "home"
    home.mkdir()
    work = tmp_path / "work"
    work.mkdir()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    # A refused command (`! …`) does not end a shell under -e, and a command that ought to be refused must be.
    script = "set -e\ntrap 'kill %1 2>/dev/null || true' EXIT\n" + re.sub(
        r"(?m)^! (.*)$", r"if \1; then exit 99; fi", story()
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=work, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "paid" in done.stdout
    assert "106.25" in done.stdout
    assert "one@example.org,119.5" in done.stdout
    assert "orders.csv:3:3 amount" in done.stderr
    assert "orders.csv:4:5 ordered" in done.stderr
    assert (work / "restored" / "thinmesh.toml").is_file()
