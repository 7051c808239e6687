"""What objectives look at, and what they leave alone."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from gargalo import checkpoint, functional, objectives
from gargalo.distributions import DiagonalGaussian
from gargalo.functional import log_mean_exp
from gargalo.model import Batch, LatentModel, Output
from gargalo.registry import method
from gargalo.spec import DataSpec
from gargalo.training import Settings, TrainState, seeded, train

VECTOR = DataSpec("vector", (6,), likelihood="gaussian:std=1.0")
SHAPES = {"image": (1, 12, 8), "vector": (40,)}


def task(name, kind, **arguments):
    """A model, its objective, and a batch whose input can be differentiated."""
    with seeded(0):
        likelihood = "bernoulli" if kind == "image" else "gaussian:std=1.0"
        model, objective = method[name](DataSpec(kind, SHAPES[kind], likelihood=likelihood), **arguments)
        target = torch.rand(6, *SHAPES[kind])
    return model, objective, Batch(target.clone().requires_grad_(), target)


def used(model, objective, batch, seed):
    """The loss of one step, and which entries of the input it depends on."""
    with seeded(seed):
        total = objective(model, batch).total
    (gradient,) = torch.autograd.grad(total, batch.input)
    return total, gradient != 0


@pytest.mark.parametrize("kind", SHAPES)
def test_a_masked_autoencoder_sees_other_parts_at_every_step_of_training(kind):
    model, objective, batch = task("masked_autoencoder", kind, mask="patches:share=0.75,size=4")
    (first, seen), (again, same), (_, other) = (used(model, objective, batch, seed) for seed in (1, 1, 2))
    assert first == again
    assert torch.equal(seen, same)
    assert not torch.equal(seen, other)
    assert 0.1 < seen.float().mean() < 0.4
    squares = seen if kind == "vector" else seen.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4)
    if kind == "image":
        assert torch.equal(squares.any(-1), squares.all(-1))


@pytest.mark.parametrize("kind", SHAPES)
def test_what_is_hidden_must_be_decoded_all_the_same(kind):
    model, objective, batch = task("masked_autoencoder", kind)
    total, seen = used(model, objective, batch, 1)
    brighter = replace(batch, target=torch.where(seen, batch.target, batch.target + 0.5))
    assert not torch.isclose(used(model, objective, brighter, 1)[0], total)


@pytest.mark.parametrize("kind", SHAPES)
def test_nothing_is_hidden_outside_training(kind):
    model, objective, batch = task("masked_autoencoder", kind)
    total, seen = used(model, objective.eval(), batch, 1)
    assert seen.all()
    assert total == model(batch).nll.mean()


STILL = "views:turn=0,scale=0,shear=0,shift=0,hide=0"


@pytest.mark.parametrize("kind", SHAPES)
def test_a_contrastive_autoencoder_adds_up_what_it_says(kind):
    weights = {"contrast": 7.0, "edges": 3.0, "temperature": 0.3}
    model, objective, batch = task("contrastive_autoencoder", kind, views=STILL, **weights)
    total, terms = objective(model, batch)
    out = model(batch)
    projected = objective.projector(out.z)
    sketch = (objective.sketcher(out.z) - functional.outline(batch.target)).square().sum(1)
    contrast = functional.nt_xent(projected, projected, 0.3)
    torch.testing.assert_close(terms["edges"], sketch.mean().detach())
    torch.testing.assert_close(terms["contrast"], contrast.mean().detach())
    torch.testing.assert_close(total, out.nll.mean() + 7 * contrast.mean() + 3 * sketch.mean())


def test_edges_to_tell_are_those_of_the_example_and_not_of_its_views():
    model, objective, batch = task("contrastive_autoencoder", "image", contrast=0.0, edges=1e4, views=STILL)
    brighter = replace(batch, target=1 - 0.5 * batch.target)
    before, after = (objective(model, b).terms["edges"] for b in (batch, brighter))
    assert not torch.isclose(before, after)


@pytest.mark.parametrize("wrong", [{"contrast": -1.0}, {"edges": -1.0}, {"temperature": 0.0}])
def test_a_contrastive_autoencoder_refuses_weights_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="at least 0"):
        task("contrastive_autoencoder", "image", **wrong)


def weights_of(x, samples, seed=0):
    """A model whose likelihood is known: z and x normal, x = z + noise, under a poor posterior."""
    with seeded(seed):
        z = 0.5 * x + torch.randn(samples, len(x))
    log = lambda value, mean, std: torch.distributions.Normal(mean, std).log_prob(value)  # noqa: E731
    return log(x, z, 1.0) + log(z, 0.0, 1.0) - log(z, 0.5 * x, 1.0)


class Known(torch.nn.Module):
    """Gives the objective those weights."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def forward(self, batch, samples=1, noise=None):
        log_w = weights_of(self.x, samples).flatten()
        q = DiagonalGaussian(torch.zeros(len(log_w), 1), torch.zeros(len(log_w), 1))
        return Output(q, None, None, q.mean, -log_w, -log_w, log_w * 0, log_w * 0)


def test_bounds_of_the_importance_weighted_family_stand_in_their_order_below_the_likelihood():
    x = torch.linspace(-2, 2, 400)
    exact = float(torch.distributions.Normal(0.0, 2**0.5).log_prob(x).mean())
    batch = Batch(x[:, None], x[:, None])
    iw = objectives.ImportanceWeighted
    found = [-float(objective(Known(x), batch).total) for objective in (iw(1), iw(8, 8, elbo=0.3), iw(8, 8), iw(64))]
    assert found == sorted(found)
    assert found[0] < exact - 0.05
    assert exact - 0.02 < found[-1] < exact + 0.01
    half = objectives.PartiallyImportanceWeighted(8, 8)
    assert -float(half(Known(x), batch, "encoder").total) == pytest.approx(found[2])
    assert -float(half(Known(x), batch, "decoder").total) == pytest.approx(found[3])


def test_the_critic_of_an_adversarial_autoencoder_learns():
    """Codes that are far from the prior: within a few steps the critic knows them, and says how often."""
    with seeded(0):
        model, objective = checkpoint.build({"method": "aae", "arguments": {"latent_dim": 2}, "spec": VECTOR.to_json()})
        x = 5 + torch.rand(64, 6)
        optimizer = torch.optim.Adam(objective.parameters_of("critic", model), lr=1e-2)
        first = float(objective(model, Batch(x, x), "critic").terms["critic"])
        for _ in range(60):
            result = objective(model, Batch(x, x), "critic")
            optimizer.zero_grad()
            result.total.backward()
            optimizer.step()
    assert float(result.terms["critic"]) > max(0.9, first)


@pytest.mark.parametrize("places", [0, 2])
def test_the_gradient_of_a_critic_of_labels_turns_round_in_the_encoder(places):
    """Against the bound and the cross-entropy, each on its own; the value is the bound's."""
    tokens = DataSpec("sequence", (16,), vocabulary=5)
    spec = replace(tokens if places else VECTOR, num_classes=3, places=places)
    with seeded(0):
        arguments = {"latent_dim": 2, "invariance": 8.0}
        model, objective = checkpoint.build({"method": "cvae", "arguments": arguments, "spec": spec.to_json()})
        x = torch.randint(5, (16, 16)) if places else torch.rand(16, 6)
        labels = torch.randint(3, (16, places) if places else (16,))
    objective.step.fill_(objective.RAMP / 2)
    batch, weights = Batch(x, x, labels), list(model.encoder.parameters())
    asked = list(objective.critic.parameters())
    with seeded(1):
        found = objective(model, batch).total
    with seeded(1):
        bound = objectives.ELBO()(model, batch).total
    mean = model.encode(x, labels).mean
    codes = (mean - mean.mean(0)) / (mean.var(0, correction=0) + 1e-6).sqrt()
    logits = objective.critic(codes).view(-1, 3)
    label = torch.nn.functional.cross_entropy(logits, labels.flatten()) * max(1, places)
    assert found == bound
    kept = {"retain_graph": True, "allow_unused": True}
    parts = [torch.autograd.grad(loss, weights, **kept) for loss in (found, bound, label)]
    for turned, plain, read in zip(*parts, strict=True):
        torch.testing.assert_close(turned, plain - 4 * read)
    expected = torch.autograd.grad(label, asked, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(found, asked), expected)


def test_players_move_their_own_parts_alone():
    for name in ("aae", "factor_vae", "vae_gan", "piwae"):
        with seeded(0):
            config = {"method": name, "arguments": {}, "spec": VECTOR.to_json()}
            model, objective = checkpoint.build(config)
        groups = [{id(p) for p in objective.parameters_of(player, model)} for player in objective.players]
        assert all(not a & b for a, b in itertools.combinations(groups, 2))


def test_a_point_has_no_bound():
    with seeded(0):
        model, _ = checkpoint.build({"method": "autoencoder", "arguments": {}, "spec": VECTOR.to_json()})
    x = torch.rand(3, 6)
    with pytest.raises(TypeError, match="with a density"):
        objectives.ELBO()(model, Batch(x, x))
    with pytest.raises(TypeError, match="needs a DiagonalGaussian"):
        objectives.BetaTC(2.0)(model, Batch(x, x))


@pytest.mark.parametrize(
    ("name", "options"), [("hvae", {"steps": 3, "step_size": 0.1}), ("rhvae", {"steps": 2, "step_size": 0.05})]
)
def test_hamiltonian_steps_leave_the_bound_a_bound(name, options):
    """Whatever way momentum takes, the mean of the weights is the likelihood: more samples, same limit."""
    with seeded(0):
        config = {"method": name, "arguments": {"latent_dim": 2, **options}, "spec": VECTOR.to_json()}
        model, _ = checkpoint.build(config)
        x = torch.rand(4, 6)
        model.train()(Batch(x, x))  # one of them remembers a metric
        twin = LatentModel(model.encoder, model.bottleneck, model.decoder, model.prior, model.likelihood)
        found = []
        for net in (model.eval(), twin.eval()):
            with torch.no_grad():
                out = net(Batch(x, x), samples=8_000)
            found.append(log_mean_exp((out.log_p - out.log_q - out.nll).view(-1, 4)))
    torch.testing.assert_close(found[0], found[1], atol=0.05, rtol=0.01)


def test_momentum_begins_hot_and_cools_down_to_its_own_temperature():
    with seeded(0):
        config = {"method": "hvae", "arguments": {"steps": 4, "temperature": 0.25}, "spec": VECTOR.to_json()}
        model, _ = checkpoint.build(config)
    cooled = model.cooling()
    assert all(factor < 1 for factor in cooled)
    assert 0.25**-0.5 * math.prod(cooled) == pytest.approx(1)
    z, push = torch.zeros(3, 16), torch.ones(3, 16)
    moved, _ = model.moved(z, push, lambda z: 0 * z.sum(1))  # on a plain, the way is what momentum makes of it
    hot = [0.25**-0.5 * math.prod(cooled[:k]) for k in range(4)]
    torch.testing.assert_close(moved, z + float(model.log_step.detach().exp()) * sum(hot))


def steered(target):
    """A model of noise, where every nat of the KL can be had, and its state; the same at every call."""
    with seeded(0):
        spec = replace(VECTOR, likelihood="gaussian:std=0.3", network="mlp:width=16,depth=0")
        model, _ = method["vae"](spec, latent_dim=4)
    return TrainState(model, objectives.SteeredELBO(target), SETTINGS, 800)


SETTINGS = Settings(epochs=1, batch_size=64, lr=1e-2, device="cpu")


def noise():
    """The same batches at every call."""
    for number in itertools.count():
        with seeded(number):
            x = torch.randn(64, 6)
        yield Batch(x, x)


@pytest.mark.parametrize("target", [2.0, 4.0])
def test_a_kl_is_steered_to_its_target(target):
    kls = [step.terms["kl"] for step in train(steered(target), noise(), SETTINGS)]
    assert sum(kls[-50:]) / 50 == pytest.approx(target, rel=0.1)


def test_steering_goes_on_where_it_was_bit_for_bit():
    whole, half, other = steered(5.0), steered(5.0), steered(5.0)
    list(train(whole, itertools.islice(noise(), 12), SETTINGS))
    list(train(half, itertools.islice(noise(), 6), SETTINGS))
    other.restore(half.tensors(), half.counters())
    list(train(other, itertools.islice(noise(), 6, 12), SETTINGS))
    tensors = whole.tensors()
    assert tensors["learner.objective.log_weight"] != steered(5.0).learner.objective.log_weight
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in other.tensors().items())


def test_what_is_steered_is_judged_by_what_it_explains_and_by_a_kl_that_is_too_large():
    state = steered(5.0)
    objective, batch = state.learner.objective.eval(), next(noise())
    for target in (1e-3, 1e6):
        objective.target = target
        with seeded(1):
            result = objective(state.learner.model, batch)
        excess = max(0.0, float(result.terms["kl"]) - target)
        torch.testing.assert_close(result.total, result.terms["nll"] + excess)
    with pytest.raises(ValueError, match="must be above 0"):
        objectives.SteeredELBO(0.0)
    assert math.exp(float(objective.log_weight)) == pytest.approx(0.1)
