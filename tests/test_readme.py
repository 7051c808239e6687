"""What the README shows runs as it stands there."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_python_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in re.findall(r"```python\n(.*?)```", README, re.S):
        exec(code, names)
    assert "PCA" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(set(re.findall(r"^    gargalo ([a-z-]+)", README, re.M))))
def test_every_command_exists(name):
    from gargalo.cli import app

    names = {c.name or c.callback.__name__ for c in app.registered_commands} | {g.name for g in app.registered_groups}
    assert name in {known.replace("_", "-") for known in names}
