"""Lines of bash, run as a person runs them: AWS_ENDPOINT_URL and credentials in the environment, and nothing else; and trees of
files to move about."""

import hashlib
import os
import subprocess

from stack import endpoint

SETTINGS = {
    "AWS_ENDPOINT_URL": endpoint(),
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_PAGER": "",
}


def sh(line, cwd=None, fails=False):
    """Runs a line of bash; what it wrote to standard output."""
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", line], env={**os.environ, **SETTINGS}, cwd=cwd, capture_output=True, text=True, timeout=120)
    if fails:
        assert done.returncode != 0, done.stdout
        return done.stderr
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def tree(folder):
    """Every file below a folder by its name, as a digest."""
    return {
        os.path.relpath(os.path.join(at, name), folder): digest(os.path.join(at, name))
        for at, _, names in os.walk(folder)
        for name in names
    }


def make_tree(folder):
    """Files whose names are no easy ones."""
    for name in ["a.txt", "sub/b.txt", "sub/deep er/c+d.txt", "sub/é.txt", "empty"]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if name == "empty" else name * 7)
    return folder
