"""A user's own modules in the place of a registered network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gargalo.spec import DataSpec


class OwnNetwork:
    """A pair (encoder, decoder), or a function that makes one as a registered network does.

    A pair is copied, with the weights it has, each time a model is built from it.
    """

    def __init__(self, network: tuple[nn.Module, nn.Module] | Callable[..., tuple[nn.Module, nn.Module]]) -> None:
        pair = isinstance(network, tuple | list)
        if not (callable(network) or (pair and len(network) == 2)) or isinstance(network, nn.Module):
            raise TypeError(
                f"network={network!r} must be a name such as 'mlp:width=64', a pair (encoder, decoder) of torch "
                "modules, or a function (spec, latent_dim, outputs, channels) that returns one."
            )
        self.network: Any = network

    def __call__(self, spec: DataSpec, latent_dim: int, outputs: int, channels: int) -> tuple[nn.Module, nn.Module]:
        """Raises ValueError where a module does not take or give what the method wants."""
        made: Any = self.network(spec, latent_dim, outputs, channels) if callable(self.network) else self.network
        encoder, decoder = (copy.deepcopy(module).cpu() for module in made)
        _expect("encoder", encoder, spec.input_shape, (outputs,))
        _expect("decoder", decoder, (latent_dim,), (spec.shape[0] * channels, *spec.shape[1:]))
        return encoder, decoder


@torch.no_grad()
def _expect(name: str, module: nn.Module, takes: tuple[int, ...], gives: tuple[int, ...]) -> None:
    wanted = f"this method wants one from (n, {_text(takes)}) to (n, {_text(gives)})."
    training = module.training
    try:
        found = tuple(module.eval()(torch.zeros(2, *takes)).shape)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"The {name} given as network fails: {error}; {wanted}") from error
    if found != (2, *gives):
        raise ValueError(f"The {name} given as network gives (n, {_text(found[1:])}); {wanted}")
    module.train(training)


def _text(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
