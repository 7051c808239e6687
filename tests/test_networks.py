"""Networks of sequences: what they compute, what they take."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from gargalo import likelihoods as _registered  # noqa: F401
from gargalo.networks.conductor import conductor
from gargalo.networks.mixer import Block
from gargalo.networks.recurrent import GRU
from gargalo.registry import likelihood, network
from gargalo.spec import DataSpec

TOKENS = DataSpec("sequence", (12,), vocabulary=7)
SERIES = DataSpec("sequence", (12, 2))


@pytest.mark.parametrize("net", ["mixer", "recurrent", "mlp", "phrases:window=4,depth=1"])
@pytest.mark.parametrize(("spec", "channels"), [(TOKENS, 7), (SERIES, 1), (SERIES, 3)])
def test_sequences_go_in_and_come_out(net, spec, channels):
    encoder, decoder = network.select(net)(spec, 5, 10, channels)
    x = torch.randint(0, 7, (4, 12)) if spec.is_tokens else torch.randn(4, 12, 2)
    assert encoder(x).shape == (4, 10)
    out = decoder(torch.randn(4, 5))
    assert out.shape == (4, 12 * channels, *spec.shape[1:])
    (encoder(x).sum() + out.sum()).backward()
    assert all(p.grad is not None for p in [*encoder.parameters(), *decoder.parameters()])


def test_phrases_code_each_window_by_itself_and_all_together():
    encoder, decoder = network.select("phrases:window=4,depth=1,size=tiny")(TOKENS, 5, 12, 7)
    x = torch.randint(0, 7, (3, 12))
    moved = x[:, [4, 5, 6, 7, 0, 1, 2, 3, 8, 9, 10, 11]]
    windows = [encoder.inner(rows.unflatten(1, (3, 4)).flatten(0, 1)).unflatten(0, (3, 3)) for rows in (x, moved)]
    torch.testing.assert_close(windows[0][:, [1, 0, 2]], windows[1])
    own, others = encoder(x).unflatten(1, (-1, 3)), encoder(moved).unflatten(1, (-1, 3))  # [N, share, window]
    torch.testing.assert_close(own[..., [1, 0, 2]], others)  # until the second level has learned, each by itself
    nn.init.normal_(encoder.change.weight)
    assert not torch.allclose(encoder(x).unflatten(1, (-1, 3))[..., [1, 0, 2]], encoder(moved).unflatten(1, (-1, 3)))
    inner = decoder.inner(torch.randn(1, 128)).shape
    assert inner == (1, 4 * 7)
    for rule, reason in (("phrases:window=5", "no whole number of windows"), ("phrases:window=13", "window=13")):
        with pytest.raises(ValueError, match=reason):
            network.select(rule)(TOKENS, 5, 10, 7)


def test_a_gru_is_torchs():
    ours, theirs = GRU(3, 5), nn.GRU(3, 5)
    with torch.no_grad():
        for mine, name in ((ours.enter, "ih"), (ours.carry, "hh")):
            mine.weight.copy_(getattr(theirs, f"weight_{name}_l0"))
            mine.bias.copy_(getattr(theirs, f"bias_{name}_l0"))
    x, state = torch.randn(6, 4, 3), torch.randn(4, 5)
    torch.testing.assert_close(ours(x, state), theirs(x, state[None])[0])


def test_a_block_filters_each_channel_as_a_convolution_does():
    block, x = Block(6, 3), torch.randn(6, 4, 3)
    expected = nn.functional.conv1d(x.permute(1, 2, 0), block.near.T[:, None], padding=2, groups=3).permute(2, 0, 1)
    torch.testing.assert_close(block._filtered(x, torch.zeros_like(x)), expected)


@pytest.mark.parametrize("net", ["mixer", "phrases", "recurrent"])
@pytest.mark.parametrize("spec", [DataSpec("image", (1, 8, 8)), DataSpec("vector", (8,))])
def test_networks_of_sequences_say_what_they_take(net, spec):
    with pytest.raises(ValueError, match=f"{net} takes sequences.* of shape"):
        network.select(net)(spec, 5, 10, 1)
    with pytest.raises(ValueError, match=r"convnet takes pictures.*Take mixer"):
        network.select("convnet")(TOKENS, 5, 10, 7)


@pytest.mark.parametrize(("shape", "vocabulary"), [((12,), 0), ((12,), 1), ((12, 2), 5), ((3, 4, 5), 0)])
def test_a_sequence_is_tokens_or_numbers(shape, vocabulary):
    with pytest.raises(ValueError, match="A sequence is"):
        DataSpec("sequence", shape, vocabulary=vocabulary)


@pytest.mark.parametrize("spec", [TOKENS, DataSpec("sequence", (12, 9))], ids=["tokens", "bits"])
def test_a_conductors_player_hears_what_it_played_and_nothing_later(spec):
    _, decoder = conductor(spec, 5, 10, spec.vocabulary or 1, size="tiny", segments=3)
    z = torch.randn(4, 5)
    with torch.no_grad():
        free = decoder(z)
        by_step = free.view(4, 12, -1)
        played = by_step.argmax(2) if spec.is_tokens else (by_step > 0).float()
        told = decoder(z, played)
        torch.testing.assert_close(told, free)  # all steps at once are those one by one
        other = played.clone()
        other[:, 5:] = (other[:, 5:] + 1) % 2
        moved = (decoder(z, other) - told).view(4, 12, -1).abs().amax((0, 2)) > 0
    assert moved.tolist() == [False] * 6 + [True] * 6
    assert decoder.generate(z).shape == (4, *spec.shape)


def test_a_conductor_says_what_it_cannot_play():
    with pytest.raises(ValueError, match="segments=5 must divide the 12 steps"):
        conductor(TOKENS, 5, 10, 7, segments=5)
    with pytest.raises(ValueError, match="tokens or bits"):
        conductor(DataSpec("sequence", (12, 2), likelihood="laplace"), 5, 10, 1)


def test_a_usual_batch_of_melodies_does_not_end_the_process():
    code = "import torch; from gargalo.networks.mixer import Block; torch.set_num_threads(1); b = Block(32, 192)\n"
    code += "with torch.autocast('cpu', torch.bfloat16): b(torch.randn(32, 256, 192)).sum().backward()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_dropout_is_of_training_alone():
    spec = DataSpec("image", (1, 8, 8), likelihood="pixel_cnn:width=8,dropout=0.5")
    nets = [*network.select("convnet:width=8,dropout=0.5")(spec, 5, 10, 8), likelihood.select(spec.likelihood)(spec)]
    for net in nets[:2]:
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    x, z, h = torch.rand(3, 1, 8, 8), torch.randn(3, 5), torch.randn(3, 8, 8, 8)
    calls = [lambda: nets[0](x), lambda: nets[1](z), lambda: nets[2](h).log_prob(x.round())]
    for net, call in zip(nets, calls, strict=True):
        net.train()
        assert not torch.equal(call(), call())
        net.eval()
        torch.testing.assert_close(call(), call())


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_is_dropped_leaves_some(share):
    spec = DataSpec("image", (1, 8, 8))
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        network.select(f"convnet:dropout={share}")(spec, 5, 10, 1)
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        likelihood.select(f"pixel_cnn:dropout={share}")(spec)
