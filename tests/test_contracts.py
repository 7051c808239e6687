"""What every registered method must do: a new one is tested the moment it has a name."""

import copy
import itertools
import json
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch

import gargalo
from gargalo import checkpoint, learned_priors, methods, priors  # noqa: F401  (registers the methods)
from gargalo.data.source import Source
from gargalo.model import Batch, LatentModel
from gargalo.registry import likelihood, method, network
from gargalo.registry import prior as prior_names
from gargalo.spec import DataSpec
from gargalo.training import Settings, TrainState, seeded, train
from gargalo.verbs import latent, prior

SPEC = DataSpec("image", (1, 12, 9), num_classes=3)
METHODS = sorted(method)
FOR_SEQUENCES = {"music": {}, "music_classic": {"size": "tiny"}}  # and arguments that make them quick
FEWER = {"hvae": {"steps": 1}}  # turns of the same loop
TRACED = {"rhvae": "eager"}  # gradients of thousands of steps take half a minute to trace
FOR_PICTURES = sorted(set(network) - {"mixer", "phrases", "recurrent"})
SERIES = DataSpec("sequence", (10, 2), likelihood="gaussian:std=learned", network="mixer:size=tiny", num_classes=3)
TOKENS = DataSpec("sequence", (10,), vocabulary=6, network="mixer:size=tiny", num_classes=3)
REFUSES = {  # what a method says of data that it is not for
    ("msssim_vae", SERIES): "ssim compares pictures",
    ("msssim_vae", TOKENS): "ssim compares pictures",
    **dict.fromkeys(itertools.product(("denoiser", "inpainter", "upscaler"), (SERIES, TOKENS)), "Only pictures"),
    **{(name, TOKENS): "tokens do not have" for name in ("contractive_autoencoder", "rae_gp", "vamp_vae", "vae_gan")},
    **{(name, TOKENS): "categorical explains" for name in ("sigma_vae", "two_stage_vae")},
    ("music_classic", SERIES): "conductor plays tokens or bits",
}


def spec_of(name):
    """Of data that a method takes."""
    return TOKENS if name in FOR_SEQUENCES else SPEC


def batch(spec=SPEC, n=6):
    with seeded(1):
        x = torch.randint(0, 6, (n, *spec.shape)) if spec.is_tokens else torch.rand(n, *spec.shape)
        return Batch(x, x, torch.arange(n) % 3 if spec.num_classes else None, 100)


def tiny(name):
    return {"size": "tiny"} if "size" in method.arguments(name) else {}


def config(name, spec=None, **more):
    spec = spec or spec_of(name)
    defaults = {key: argument.default for key, argument in method.arguments(name).items()}
    return {
        "method": name,
        "arguments": defaults | tiny(name) | FOR_SEQUENCES.get(name, {}) | more,
        "spec": spec.to_json(),
        "corruption": "none",
    }


def make(name, spec=None, **more):
    with seeded(0):
        return checkpoint.build(config(name, spec, **more))


CODED = make("vq_vae")[0], SPEC


def test_a_fresh_process_builds_every_method_before_it_opens_any_data(tmp_path):
    (tmp_path / "configs.json").write_text(json.dumps([config(name) for name in METHODS]))
    code = (
        "import json, sys; from gargalo import checkpoint\nfor c in json.load(open(sys.argv[1])): checkpoint.build(c)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "configs.json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [name for name in METHODS if name not in FOR_SEQUENCES])
@pytest.mark.parametrize("net", FOR_PICTURES)
def test_output_has_one_number_a_row(name, net):
    model, _ = make(name, DataSpec("image", (1, 12, 9), network=net, num_classes=3))
    out = model(batch(), samples=2)
    assert all(getattr(out, key).shape == (12,) for key in ("nll", "kl", "log_q", "log_p"))
    assert out.likelihood.mode.shape == (12, 1, 12, 9)


@pytest.mark.parametrize("name", METHODS)
def test_every_parameter_of_every_player_gets_a_finite_gradient(name):
    model, objective = make(name)
    for player in objective.players:
        objective(model, batch(spec_of(name)), player).total.backward()
        for parameter in objective.parameters_of(player, model):
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("spec", [SERIES, TOKENS], ids=["series", "tokens"])
def test_every_method_takes_sequences_or_says_why_not(name, spec):
    if refusal := REFUSES.get((name, spec)):
        with pytest.raises(ValueError, match=refusal):
            make(name, spec)
        return
    model, objective = make(name, spec)
    x = torch.randint(0, 6, (6, 10)) if spec.is_tokens else torch.randn(6, 10, 2)
    given = Batch(x, x, torch.arange(6) % 3, 100)
    assert model(given).likelihood.mode.shape == x.shape
    for player in objective.players:
        objective(model, given, player).total.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in objective.parameters_of(player, model))


@pytest.mark.parametrize("name", FOR_SEQUENCES)
def test_methods_of_sequences_say_so_of_pictures(name):
    with pytest.raises(ValueError, match=f"{name} takes sequences"):
        make(name, SPEC)


@pytest.mark.parametrize("name", METHODS)
def test_one_graph_under_compile(name):
    model, objective = make(name, **FEWER.get(name, {}))
    given = batch(spec_of(name))
    torch._dynamo.reset()
    torch._dynamo.config.trace_autograd_ops = True  # as `acceleration.compiled` does
    backend = TRACED.get(name, "aot_eager")
    twin, twin_objective = copy.deepcopy((model, objective))  # some methods remember what they have seen
    compiled = torch.compile(lambda b: twin_objective(twin, b).total, fullgraph=True, backend=backend)
    with seeded(5):
        expected = objective(model, given).total
    with seeded(5):
        torch.testing.assert_close(compiled(given), expected)


@pytest.mark.parametrize("name", METHODS)
def test_training_lowers_the_loss(name):
    settings = Settings(epochs=1, batch_size=6, warmup=5)
    state = TrainState(*make(name), settings, 80)
    with state.device:
        given = batch(spec_of(name))
    losses = [step.terms["nll"] for step in train(state, [given] * 80, settings)]
    assert sum(losses[-5:]) < 0.97 * sum(losses[:5])


@pytest.mark.parametrize("name", METHODS)
def test_saved_and_loaded_is_bit_equal_and_every_verb_runs(name, tmp_path):
    model, _ = make(name)
    spec = spec_of(name)
    checkpoint.save(tmp_path, config(name), model.state_dict(), {}, 1)
    loaded = checkpoint.load(tmp_path)
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.net.state_dict()[key])
    if model.suggested_prior is not None:
        unfitted = isinstance(model.prior, priors.Unfitted)
        with pytest.raises(ValueError, match="fit-prior") if unfitted else nullcontext():
            latent.sample(loaded, 5)
        values = torch.randint(0, spec.vocabulary or 256, (300, *spec.shape), dtype=torch.uint8)
        source = Source("x", spec, values, torch.arange(300) % 3)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prior, "open_for", lambda *_: source)
            patch.setattr(priors.Prior, "steps", 20)
            patch.setattr(learned_priors.Autoregressive, "steps", 20)
            prior.fit_prior(loaded, model.suggested_prior, data="x")
        again = checkpoint.load(tmp_path)
        assert (latent.sample(again, 5) == latent.sample(loaded, 5)).all()
    images = spec.unscaled(batch(spec).target).numpy()
    labels = [0, 1, 2, 0, 1, 2]
    assert latent.reconstruct(loaded, images, labels=labels).shape == images.shape
    assert latent.embed(loaded, images, labels=labels).shape == (6, loaded.latent_dim)
    if model.generative:
        assert latent.sample(loaded, 5).shape == (5, *spec.shape)
    else:
        with pytest.raises(ValueError, match="no meaning"):
            latent.sample(loaded, 5)
    assert latent.interpolate(loaded, images[0], images[1], steps=4, labels=[0, 0]).shape == (4, *spec.shape)


@pytest.mark.parametrize(
    ("registry", "name"), [(names, name) for names in (method, prior_names) for name in sorted(names)]
)
@pytest.mark.parametrize("number", [0, -1, 10**12])
def test_no_number_in_a_file_keeps_us_building(registry, name, number):
    """What is out of bounds is refused, as what `load` turns into its own error; nothing runs for ever."""
    for key, argument in registry.arguments(name).items():
        if argument.type is not int:
            continue
        try:
            with torch.device("meta"):
                if registry is method:
                    checkpoint.build(config(name) | {"arguments": {key: number}})
                else:
                    registry[name](*CODED, **{key: number})
        except (ValueError, TypeError, RuntimeError):
            continue
        assert number > 0 or key in ("kl_warmup", "free_nats", "layers", "depth"), f"{key}={number} was taken"


@pytest.mark.parametrize("name", METHODS)
def test_a_run_from_training_to_report(name, tmp_path, monkeypatch):
    monkeypatch.setattr(prior, "EPOCHS", 1)
    music = name in FOR_SEQUENCES
    options = FOR_SEQUENCES[name] | {"network": "mixer:size=tiny,depth=0"} if music else tiny(name)
    model = gargalo.train(name, "tunes" if music else "digits", tmp_path / "run", epochs=1, **options)
    found = gargalo.evaluate(model, samples=2, limit=100)
    assert np.isfinite(found["mse"] or found["accuracy"])
    assert found["nll"] is None or np.isfinite(found["nll"])
    page = gargalo.report(tmp_path / "run").read_text()
    assert len(page) > 10_000
    assert page.count("<audio controls") == 3 * music
    assert not model.net.generative or gargalo.sample(model, 3).shape == (3, *model.spec.shape)


@pytest.mark.parametrize("name", sorted(likelihood))
def test_every_likelihood_explains_data(name):
    vocabulary = 5 if name == "categorical" else 0
    spec = DataSpec("image", (1, 8, 8), likelihood=name, vocabulary=vocabulary)
    if name in ("groove", "parts"):  # of music alone
        spec = DataSpec("sequence", (8, 27), likelihood=name, network="mixer:size=tiny")
    model, objective = make("vae", spec)
    target = torch.randint(0, 5, (4, *spec.shape)) if vocabulary else torch.rand(4, *spec.shape)
    result = objective(model, Batch(target.float(), target))
    assert result.total.isfinite()
    assert isinstance(model, LatentModel)
    assert model.decode(model.prior.sample(3)).sample().shape == (3, *spec.shape)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 13, 9), (4, 32, 50), (2, 28, 28)])
@pytest.mark.parametrize("net", FOR_PICTURES)
def test_networks_take_any_size_and_channels(shape, net):
    model, objective = make("vae", DataSpec("image", shape, network=net))
    x = torch.rand(2, *shape)
    assert model(Batch(x, x)).likelihood.mode.shape == (2, *shape)
    assert objective(model, Batch(x, x)).total.isfinite()


def test_conditional_models_refuse_data_without_labels():
    with pytest.raises(ValueError, match="needs labels"):
        make("cvae", DataSpec("image", (1, 8, 8)))


def test_sources_gather_whole_batches():
    source = Source("x", SPEC, torch.arange(6 * 108).view(6, 1, 12, 9).byte(), torch.arange(6))
    example = source.gather(torch.tensor([4, 1]))
    assert torch.equal(example.target, source.values[[4, 1]])
    assert example.condition.tolist() == [4, 1]
