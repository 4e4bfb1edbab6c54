"""What a newcomer types first in JavaScript: the lines are in js/first.test.js."""

import os
import pathlib
import subprocess


def test_javascript_lines():
    folder = pathlib.Path(__file__).parent.parent / "js"
    done = subprocess.run(["node", "--test", "--test-reporter=spec", "first.test.js"], cwd=folder, env=os.environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
