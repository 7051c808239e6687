"""How a model is run: what is decided by rule, and that it is kept."""

import dataclasses

import pytest
import torch
from torch import nn

import gargalo
from gargalo import acceleration, checkpoint, fitting
from gargalo.acceleration import Plan
from gargalo.training import Settings, TrainState, seeded

CPU = torch.device("cpu")


def test_precision_is_what_was_asked_for():
    assert acceleration.plan_for(nn.Linear(1, 1), CPU, "bfloat16") == Plan(
        bfloat16=True, channels_last=False, threads=0
    )
    assert acceleration.plan_for(nn.Conv2d(1, 1, 1), CPU, "float32") == Plan(bfloat16=False, channels_last=True)


def test_small_steps_take_one_thread():
    small = nn.Linear(512, 512)
    assert acceleration.plan_for(small, CPU, "float32", batch_size=128).threads == 1
    assert acceleration.plan_for(small, CPU, "float32", batch_size=2048).threads == 0
    assert acceleration.plan_for(nn.Conv2d(1, 1, 1), CPU, "float32", batch_size=1).threads == 0


def test_computing_is_as_planned_and_leaves_everything_as_it_was():
    before = torch.get_num_threads()
    with acceleration.computing(Plan(False, False, threads=1)):
        assert torch.get_num_threads() == 1
        with acceleration.computing(Plan(False, False)):
            assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("times", "threads"), [([1.0, 1.0], 1), ([1.0, 1.2], 0), ([50.0, 1.2], 1)])
def test_a_run_on_the_clock_takes_one_thread_unless_more_are_faster(tmp_path, monkeypatch, times, threads):
    monkeypatch.setattr(fitting.Fitting, "_step_times", lambda self, plans, seconds: times[: len(plans)])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    monkeypatch.setattr(acceleration, "SMALL", 0)
    model = gargalo.train("vae", "digits", tmp_path / "run", time=1.0)
    assert model.config["plan"]["threads"] == threads


@pytest.mark.parametrize(
    ("model", "gains"),
    [
        (nn.Linear(2, 2), True),
        (nn.Sequential(*[nn.Conv2d(2, 2, 3) for _ in range(8)]), True),
        (nn.Sequential(*[nn.Conv2d(2, 2, 3) for _ in range(7)]), False),
        (nn.Sequential(*[nn.Conv2d(2, 2, 3, stride=2) for _ in range(8)]), False),
        (nn.Sequential(*[nn.Conv2d(2, 2, 3) for _ in range(8)], nn.MaxPool2d(2)), False),
    ],
)
def test_a_trial_of_compiling_is_for_dense_and_deep_nets(model, gains):
    assert acceleration.may_gain_from_compiling(model) == gains


def test_channels_last_weights_and_moments_survive_a_checkpoint(tmp_path):
    run = tmp_path / "run"
    options = {"network": "convnet:width=8", "epochs": 1, "save_every": 1e9, "device": "cpu"}
    gargalo.train("autoencoder", "digits", run, **options)
    config, folder = checkpoint.read(run)
    with seeded(0):
        model, objective = checkpoint.build(config)
    plan = Plan(**config["plan"])
    assert plan.channels_last
    state = TrainState(model, objective, Settings(**config["settings"]), 1, plan)
    state.restore(checkpoint.load_state(folder), config["progress"])
    optimizer = state.optimizers["model"]
    for parameter, moments in optimizer.state.items():
        assert moments["exp_avg"].stride() == parameter.stride()
    assert any(p.dim() == 4 and not p.is_contiguous() for p in optimizer.state)
    for name, tensor in state.tensors().items():
        assert torch.equal(tensor, checkpoint.load_state(folder)[name]), name


def test_compiled_steps_are_taken_when_asked_for_and_resumed_the_same(tmp_path):
    options = {"network": "mlp:width=16,depth=0", "latent_dim": 2, "epochs": 2, "batch_size": 256, "compile": "on"}
    whole = gargalo.train("vae", "digits", tmp_path / "whole", **options)
    assert whole.config["plan"]["compiled"]
    assert "times as fast" in whole.config["plan"]["note"]

    class StoppedError(Exception):
        pass

    def stop(step):
        if step["number"] == 7:
            raise StoppedError

    with pytest.raises(StoppedError):
        gargalo.train("vae", "digits", tmp_path / "cut", **options, save_every=0.0, progress=stop)
    resumed = gargalo.resume(tmp_path / "cut")
    for ours, theirs in zip(resumed.net.parameters(), whole.net.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_model_that_cannot_be_compiled_is_trained_plainly_and_that_is_said(tmp_path, monkeypatch):
    def fail(module):
        raise RuntimeError("no compiler here\nand more")

    monkeypatch.setattr(acceleration, "compiled", fail)
    monkeypatch.setattr(fitting, "COMPILE_FROM", 0.0)
    model = gargalo.train("vae", "digits", tmp_path / "run", epochs=1)
    assert gargalo.show(model)["plan"]["note"] == "not compiled: no compiler here"
    assert not dataclasses.replace(Plan(**model.config["plan"]), note="").compiled
    with pytest.raises(ValueError, match="cannot be compiled here: no compiler"):
        gargalo.train("vae", "digits", tmp_path / "other", epochs=1, compile="on")


def test_denormals_count_as_nothing_while_training_in_all_threads():
    tiny = torch.full((1 << 20,), 1e-39)
    with acceleration.flushed_denormals():
        assert not (tiny * 0.5).any()
        with acceleration.flushed_denormals():
            pass
        assert not (tiny * 0.5).any()
    assert (tiny * 0.5).all()


def test_the_quick_rectifier_is_a_rectifier():
    x = torch.tensor([-2.0, -0.0, 0.0, 3.5, float("inf"), float("-inf")])
    quick = acceleration.QuickReLU()
    assert quick(x.bfloat16()).tolist() == quick(x).tolist() == [0, 0, 0, 3.5, float("inf"), 0]


@pytest.mark.parametrize("name", ["meta", "nonsense", "cuda:99"])
def test_a_device_that_gives_nothing_back_is_refused(name):
    with pytest.raises(ValueError, match=f"device='{name}' cannot be used here"):
        acceleration.pick_device(name)
