"""Damage is found, whatever it is, and the older checkpoint takes over."""

import errno
import itertools
import json
import os
import random
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import gargalo
from gargalo import checkpoint, disk
from gargalo.errors import CheckpointError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "vae"
    gargalo.train("vae", "digits", folder, latent_dim=2, epochs=2)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def newest(run):
    return checkpoint.read(run)[1]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "state.safetensors"])
def test_every_flipped_bit_is_noticed(run, name):
    folder = newest(run)
    original, chance = (folder / name).read_bytes(), random.Random(0)
    for _ in range(40):
        damaged = bytearray(original)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        (folder / name).write_bytes(damaged)
        if json_equal(name, damaged, original):
            continue
        with pytest.raises(CheckpointError):
            checkpoint.read(folder)
    (folder / name).write_bytes(original[: len(original) // 2])
    with pytest.raises(CheckpointError):
        gargalo.load(folder)


def json_equal(name, damaged, original):
    """A flipped bit in white space may leave the same JSON, which is no damage."""
    try:
        return name == "config.json" and json.loads(damaged) == json.loads(original)
    except ValueError:
        return False


def test_the_older_one_takes_over(run):
    config, folder = checkpoint.read(run)
    model = gargalo.load(run)
    later = {k: v for k, v in config.items() if k not in ("sha256", "format")}
    checkpoint.save(run, later, model.net.state_dict(), checkpoint.load_state(folder), config["progress"]["step"] + 1)
    newer = newest(run)
    assert newer != folder
    (newer / "model.safetensors").write_bytes(b"")
    assert newest(run) == folder
    assert gargalo.load(run).latent_dim == 2


def test_only_two_are_kept_and_nothing_unfinished_counts(run):
    config, folder = checkpoint.read(run)
    config = {k: v for k, v in config.items() if k not in ("sha256", "format")}
    weights, state = gargalo.load(run).net.state_dict(), checkpoint.load_state(folder)
    for step in (900, 901, 902):
        checkpoint.save(run, config, weights, state, step)
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert names == ["step-000000901", "step-000000902"]
    (run / "checkpoints" / "writing-000000903").mkdir()
    assert newest(run).name == "step-000000902"


def test_nothing_that_is_not_finite_is_written(run):
    _, folder = checkpoint.read(run)
    with pytest.raises(ValueError, match="not finite"):
        checkpoint.save(run, {}, {"w": torch.tensor([1.0, float("nan")])}, {}, 5000)
    assert newest(run) == folder


def rewrite(folder, **changes):
    """A config changed by somebody who makes the digest right again."""
    config = json.loads((folder / "config.json").read_text()) | changes
    config["sha256"]["config.json"] = checkpoint._config_digest(config)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 99}, "format 99"),
        ({"format": -1}, "format -1"),
        ({"format": True}, "format True"),
        ({"method": 5}, "cannot be loaded"),
        ({"arguments": []}, "cannot be loaded"),
        ({"spec": []}, "no dictionary"),
        ({"arguments": {"latent_dim": 60000}}, "the config wants"),
        ({"arguments": {"latent_dim": 10**12}}, "latent_dim"),
        ({"arguments": {"latent_dim": 2, "evil": 1}}, "evil"),
        ({"method": "os.system"}, "No method"),
    ],
)
def test_hostile_configs_allocate_nothing_and_say_why(run, changes, says):
    rewrite(newest(run), **changes)
    with pytest.raises(CheckpointError, match=says):
        gargalo.load(run)


def test_a_hostile_shape_is_refused(run):
    folder = newest(run)
    spec = json.loads((folder / "config.json").read_text())["spec"]
    for odd in ({"shape": [1, 10**6, 10**6]}, {"shape": {}}, {"likelihood": 5}, {"network": 5}):
        rewrite(folder, spec=spec | odd)
        with pytest.raises(CheckpointError, match=f"{next(iter(odd))}|loaded"):
            gargalo.load(run)


def saved_again(run, step=5000, **changes):
    """Writes what the newest checkpoint holds as another one."""
    config, folder = checkpoint.read(run)
    config = {key: value for key, value in config.items() if key not in ("sha256", "format")} | changes
    return checkpoint.save(run, config, gargalo.load(run).net.state_dict(), checkpoint.load_state(folder), step)


def failing(function, after):
    """The function until it was called so often, then a full disk."""

    def call(*args, **options):
        if not next(after):
            raise OSError(errno.ENOSPC, "No space left on device")
        return function(*args, **options)

    return call


WRITES = (disk, "save_file"), (disk, "sync"), (Path, "mkdir"), (Path, "rename")


@pytest.mark.parametrize("number", range(9))  # a folder, two files, these and two more made sure of, a name, and that
def test_whichever_write_fails_nothing_is_lost_or_left(run, monkeypatch, number):
    folder, after = newest(run), itertools.chain([True] * number, itertools.repeat(False))
    with monkeypatch.context() as patch:
        for owner, name in WRITES:
            patch.setattr(owner, name, failing(getattr(owner, name), after))
        with pytest.raises(CheckpointError, match=f"No space left .* up to {folder.name}. Make room"):
            saved_again(run)
    assert list((run / "checkpoints").glob("writing-*")) == []
    assert newest(run).name == (folder.name if number < 8 else "step-000005000")
    saved_again(run)
    assert newest(run).name == "step-000005000"


def test_a_kill_while_a_step_is_written_again_loses_nothing(run, monkeypatch):
    folder, step = newest(run), checkpoint.read(run)[0]["progress"]["step"]

    def killed(self, target):
        if self.name.startswith("writing-"):
            raise KeyboardInterrupt
        return os.replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        assert saved_again(run, step) == folder == newest(run)  # of the same content nothing is written
        with pytest.raises(KeyboardInterrupt):
            saved_again(run, step, note="other")
    assert "note" not in checkpoint.read(run)[0]
    saved_again(run, step, note="other")
    assert checkpoint.read(run)[0]["note"] == "other"
    assert list((run / "checkpoints").iterdir()) == [folder]


def test_a_full_disk_is_one_message_whoever_notices(run, monkeypatch):
    model, folder = gargalo.load(run), newest(run)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=f"checkpoints cannot be written .*{folder.name}"):
            saved_again(run)
        with pytest.raises(CheckpointError, match=f"cannot be written .*{folder.name}"):
            checkpoint.keep(run, "x.safetensors", model.net.state_dict(), model.config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [*run.rglob("writing-*"), *run.rglob("x.*"), *run.rglob(".tmp*")] == []
    assert newest(run) == folder


def test_the_umask_says_who_may_read(tmp_path):
    before = os.umask(0o027)
    try:
        gargalo.train("autoencoder", "digits", tmp_path / "run", latent_dim=2, epochs=1)
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.rglob("*") if file.is_file()} == {0o640}


def test_no_run_is_said_plainly(tmp_path):
    with pytest.raises(CheckpointError, match="no run at"):
        gargalo.load(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        gargalo.load(tmp_path)


def test_a_run_killed_in_its_first_save_can_be_trained_anew(tmp_path):
    (tmp_path / "checkpoints" / "writing-000000007").mkdir(parents=True)
    for name in ("lock", "metrics.jsonl", "skipped.csv", "events.out.tfevents.1.host"):
        (tmp_path / name).touch()
    gargalo.train("vae", "digits", tmp_path, latent_dim=2, epochs=1)
    assert [path.name[:5] for path in (tmp_path / "checkpoints").iterdir()] == ["step-"]


@pytest.mark.parametrize("name", ["README.md", "metrics.jsonl", "skipped.csv", "photo.png"])
def test_files_that_are_not_of_a_run_are_left_alone(tmp_path, name):
    mine = tmp_path / name
    mine.write_text("mine")
    fitted = gargalo.Autoencoder("vae", 2, epochs=1).fit(np.random.default_rng(0).normal(size=(40, 3)))
    for write in (lambda: gargalo.train("vae", "digits", tmp_path, epochs=1), lambda: fitted.save(tmp_path)):
        with pytest.raises(CheckpointError, match=f"holds {name}: .*another -o"):
            write()
    assert [(path, path.read_text()) for path in tmp_path.iterdir()] == [(mine, "mine")]
