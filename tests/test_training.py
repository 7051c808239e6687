"""The loop: exact resumption, guards, budgets, and the crash that loses nothing."""

import hashlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch

import gargalo
from gargalo import checkpoint
from gargalo.data import open_source
from gargalo.data.batches import Feed
from gargalo.errors import CheckpointError
from gargalo.fitting import Clock, suggestions
from gargalo.model import Batch
from gargalo.spec import DataSpec
from gargalo.training import DivergenceError, Settings, TrainState, rate_at, seeded, train
from gargalo.verbs import prior
from gargalo.verbs import train as orchestration

SETTINGS = Settings(epochs=1, batch_size=32, warmup=10, seed=4, device="cpu")


@cache
def digits():
    source = open_source("digits")
    return source, source.indices("train")


def new_state(total=60):
    source, _ = digits()
    config = {"method": "vae", "arguments": {"latent_dim": 3}, "spec": source.spec.to_json()}
    with seeded(1):
        return TrainState(*checkpoint.build(config), SETTINGS, total)


def feed(state):
    return Feed(*digits(), 32, "noise:std=0.1", "photo", SETTINGS.seed).batches(state.step)


def digest(state):
    hashed = hashlib.sha256()
    for name, tensor in sorted(state.tensors().items()):
        hashed.update(name.encode() + tensor.numpy().tobytes())
    return hashed.hexdigest() + repr(state.counters())


def run_to(state, number):
    for step in train(state, feed(state), SETTINGS):
        if step.number == number:
            break
    return state


def test_resumed_at_every_step_and_twice_it_is_the_same_run():
    reference, saved = new_state(), []
    for _ in train(reference, feed(reference), SETTINGS):
        saved.append(({k: v.clone() for k, v in reference.tensors().items()}, json.dumps(reference.counters())))
    end = digest(reference)
    assert len(saved) == 60
    for number in range(1, 60):
        state = new_state()
        tensors, counters = saved[number - 1]
        state.restore(tensors, json.loads(counters))
        again = min(59, number + 7)
        run_to(state, again)
        second = new_state()
        second.restore(state.tensors(), json.loads(json.dumps(state.counters())))
        run_to(second, 60)
        assert digest(second) == end, f"stopped at {number} and {again}"


def test_randomness_outside_is_not_touched():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    run_to(new_state(), 3)
    assert torch.equal(torch.rand(3), expected)


def poisoned(state, bad):
    for number, batch in enumerate(feed(state), state.step + 1):
        yield Batch(batch.input * math.nan, batch.target) if number in bad else batch


def test_a_step_that_is_not_finite_changes_nothing():
    state = run_to(new_state(), 5)
    before = digest(state).replace("'step': 5", "'step': 6")
    step = next(train(state, poisoned(state, {6}), SETTINGS))
    assert step.skipped
    assert digest(state) == before


def test_many_bad_steps_roll_back_with_half_the_rate_and_at_last_give_up():
    state = new_state(200)
    for step in train(state, poisoned(state, set(range(20, 31))), SETTINGS):
        if step.number == 40:
            break
    assert (state.lr_factor, state.roll_backs) == (0.5, 1)
    assert all(t.isfinite().all() for t in state.tensors().values() if t.is_floating_point())
    with pytest.raises(DivergenceError, match="lower --lr"):
        list(train(state, poisoned(state, set(range(41, 200))), SETTINGS))


def test_the_best_weights_stay_when_others_go_back():
    state, best = new_state(), {}
    for step in train(state, poisoned(state, set(range(20, 31))), SETTINGS):
        if step.number == 19:
            state.observe(5.0)
            best = {name: tensor.clone() for name, tensor in state.best.state_dict().items()}
        if step.number == 32:
            break
    assert (state.roll_backs, state.best_loss) == (1, 5.0)
    assert all(torch.equal(tensor, best[name]) for name, tensor in state.best.state_dict().items())


def test_the_rate_rises_and_falls():
    settings = Settings(lr=1.0, warmup=10)
    rates = [rate_at(step, 1000, settings) for step in range(1, 1001)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1
    assert rates[-1] == pytest.approx(0.005, abs=1e-4)
    assert all(a >= b for a, b in pairwise(rates[9:]))
    assert rate_at(500, 1000, replace(settings, schedule="constant")) == 1


NONSENSE = {"lr": 0, "epochs": -1, "ema": 1.5, "time": math.inf, "warmup": -1, "weight_decay": math.nan}


@pytest.mark.parametrize("change", [{key: value} for key, value in NONSENSE.items()])
def test_settings_refuse_nonsense(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        Settings(**change)


def test_budgets_that_contradict_and_savings_at_no_time_are_refused(tmp_path, digits_run):
    with pytest.raises(ValueError, match="give one of them"):
        gargalo.train("vae", "digits", tmp_path / "run", epochs=1, time=1.0)
    with pytest.raises(ValueError, match="save_every"):
        gargalo.train("vae", "digits", tmp_path / "run", epochs=1, save_every=math.nan)
    with pytest.raises(ValueError, match="save_every"):
        gargalo.resume(digits_run, save_every=-1.0)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_numpy_suggest_what_pythons_do():
    assert suggestions("denoiser", {"width": np.int64(16)}) == suggestions("denoiser", {"width": 16}) != {}


def test_a_time_budget_becomes_a_number_of_steps(tmp_path):
    model = gargalo.train("vae", "digits", tmp_path / "run", latent_dim=2, time=4.0)
    progress = model.config["progress"]
    assert progress["step"] == progress["total_steps"] >= 10


def test_a_prior_that_is_fitted_afterwards_keeps_to_the_budget_and_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(prior, "LEAST_SECONDS", 0.5)
    told = []
    gargalo.train("vq_vae", "digits", tmp_path / "run", time=1.0, progress=told.append)
    fitted = [step for step in told if step.get("of") == "prior"]
    assert [step["number"] for step in fitted] == list(range(len(fitted)))
    assert 10 <= fitted[-1]["number"] == fitted[-1]["total"] < 500  # of 1,020 without a budget


def test_early_stopping_keeps_the_best(tmp_path):
    model = gargalo.train("autoencoder", "digits", tmp_path / "run", epochs=60, lr=0.1, patience=2, schedule="constant")
    progress = model.config["progress"]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["validation"]["loss"] for line in lines]
    assert progress["best_loss"] == min(losses)
    assert progress["step"] < 60 * 22
    assert losses[-1] > min(losses)


def test_a_second_run_may_not_take_the_folder(digits_run):
    with pytest.raises(CheckpointError, match="resume"):
        gargalo.train("vae", "digits", digits_run)


def test_one_writer_a_folder(digits_run):
    with checkpoint.locked(digits_run), pytest.raises(CheckpointError, match="another process"):
        gargalo.resume(digits_run)


COMMAND = ["train", "vae", "digits", "--latent-dim", "2", "--epochs", "6", "--batch-size", "16", "--save-every", "0.05"]


def gargalo_process(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "gargalo", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def final_digest(run):
    _, folder = checkpoint.read(run)
    return [
        hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("model.safetensors", "state.safetensors")
    ]


def wait_for_checkpoint(process, run, beyond):
    """Until a newer checkpoint than ``beyond`` is there or the process has ended: a kill must not stop progress."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        found = sorted((run / "checkpoints").glob("step-*")) if run.exists() else []
        if found and found[-1].name > beyond:
            return found[-1].name
        time.sleep(0.01)
    return beyond


def test_killed_at_random_moments_it_ends_the_same(tmp_path):
    gargalo.train("vae", "digits", tmp_path / "calm", latent_dim=2, epochs=6, batch_size=16)
    run, chance, beyond, kills = tmp_path / "killed", random.Random(0), "", 0
    command = [*COMMAND, "-o", str(run)]
    while kills < 3:
        process = gargalo_process(*command)
        beyond = wait_for_checkpoint(process, run, beyond)
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        process.communicate()
        kills += 1
        checkpoint.read(run)
        command = ["resume", str(run), "--save-every", "0.05"]
    last = gargalo_process(*command)
    message = last.communicate()[1]
    assert last.returncode == 0, message
    assert final_digest(run) == final_digest(tmp_path / "calm")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_step_and_saves(tmp_path, number, status):
    run = tmp_path / "run"
    process = gargalo_process(*COMMAND, "--epochs", "4000", "-o", str(run), "--save-every", "0.2")
    wait_for_checkpoint(process, run, "")
    os.kill(process.pid, number)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == status, message
    assert "Traceback" not in message
    assert (f"Stopped. What was done is saved; go on with `gargalo resume {run}`." in message) == (status == 130)
    assert checkpoint.load(run).config["progress"]["step"] > 0


def test_resuming_with_changed_data_is_refused(tmp_path, monkeypatch):
    gargalo.train("vae", "digits", tmp_path / "run", epochs=1)
    monkeypatch.setattr(orchestration, "_fingerprint", lambda source: "other")
    with pytest.raises(gargalo.DataError, match="has changed"):
        gargalo.resume(tmp_path / "run")


def test_tensorboard_files_and_a_card_lie_in_the_run(tmp_path):
    run = tmp_path / "run"
    gargalo.train("beta_vae", "digits", run, epochs=1, beta=3, tensorboard=True)
    assert [file.stat().st_size > 100 for file in run.glob("events.out.tfevents.*")] == [True]
    card = (run / "README.md").read_text()
    assert "beta=3.0" in card
    assert "`mlp`" in card


def test_tensorboard_missing_is_one_message_and_no_folder(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match=r"gargalo\[tensorboard\]"):
        gargalo.train("vae", "digits", tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_a_player_may_have_several_turns_a_step():
    config = {"method": "aae", "arguments": {"critic_turns": 3}, "spec": DataSpec("vector", (6,)).to_json()}
    with seeded(0):
        model, objective = checkpoint.build(config)
        state = TrainState(model, objective, SETTINGS, 2)
        x = torch.rand(8, 6)
    next(train(state, iter([Batch(x, x)]), SETTINGS))
    moved = {player: int(o.state_dict()["state"][0]["step"]) for player, o in state.optimizers.items()}
    assert moved == {"model": 1, "critic": 3}


def test_a_budget_of_time_is_counted_anew_when_other_programs_come_and_go(monkeypatch):
    now = 0.0
    monkeypatch.setattr("gargalo.fitting.time.perf_counter", lambda: now)
    clock, planned, step = Clock(100.0), 10, 0  # a trial beside another program: ten seconds a step
    while step < planned:
        step += 1
        now += 0.1 if step < 400 else 0.2
        planned = clock.total(step, planned)
    assert 94 < now < 102
    assert step == pytest.approx(400 + 60 / 0.2, rel=0.05)


def test_a_budget_that_holds_what_was_planned_is_left_alone(monkeypatch):
    now = 0.0
    monkeypatch.setattr("gargalo.fitting.time.perf_counter", lambda: now)
    clock = Clock(100.0)
    for step in range(1, 981):
        now += 0.1
        assert clock.total(step, 980) == 980


def test_a_run_begins_with_the_weights_of_another(digits_run, tmp_path):
    """Another method of the same parts has all of them from its first step on."""
    model = gargalo.train("iwae", "digits", tmp_path / "a", init=str(digits_run), latent_dim=2, epochs=1, lr=1e-12)
    found, known = (m.net.state_dict() for m in (model, gargalo.load(digits_run)))
    torch.testing.assert_close(found, known, rtol=0, atol=1e-6)
    assert f"begun with the weights of {digits_run}" in (tmp_path / "a/README.md").read_text()
    fresh = gargalo.train("iwae", "digits", tmp_path / "b", latent_dim=2, epochs=1)
    losses = [checkpoint.metrics(tmp_path / name)[0]["validation"]["loss"] for name in "ab"]
    assert losses[0] < losses[1] - 2
    assert fresh.config["init"] is None


def test_what_does_not_fit_begins_anew_and_is_named(digits_run, tmp_path):
    with pytest.warns(UserWarning, match=r"numbers begin as in .*; the others begin anew: .*prior"):
        gargalo.train("mixture_vae", "digits", tmp_path / "a", init=str(digits_run), latent_dim=2, epochs=1)
    with pytest.raises(ValueError, match="none of its tensors fits"):
        gargalo.train("vae", "digits", tmp_path / "b", init=str(digits_run), network="convnet:size=tiny")
    with pytest.raises(gargalo.CheckpointError, match="nowhere"):
        gargalo.train("vae", "digits", tmp_path / "b", init="nowhere")
    assert not (tmp_path / "b").exists()
