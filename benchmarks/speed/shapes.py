"""The shapes of network that are raced, in plain torch, for us and for the notebook-style loop alike."""

from __future__ import annotations

from torch import Tensor, nn


class Residual(nn.Module):
    """The input minus what the layers find in it, as a denoiser with a residual prediction does (Zhang et al. 2017)."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        return x - self.layers(x)


def lesson() -> tuple[nn.Module, nn.Module]:
    """The convolutional autoencoder of a well-known lesson: 28x28 to 4x4x8 and back with 4,385 weights; logits out."""

    def down(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]

    def up(inputs: int, outputs: int, padding: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=padding), nn.ReLU(), nn.Upsample(scale_factor=2)]

    encoder = nn.Sequential(*down(1, 16), *down(16, 8), *down(8, 8))
    return encoder, nn.Sequential(*up(8, 8), *up(8, 8), *up(8, 16, 0), nn.Conv2d(16, 1, 3, padding=1))


def dense(latent_dim: int = 16) -> tuple[nn.Module, nn.Module]:
    """pythae's default for any picture: one hidden layer of 512 each way; logits out."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 2 * latent_dim))
    decoder = nn.Sequential(nn.Linear(latent_dim, 512), nn.ReLU(), nn.Linear(512, 784), nn.Unflatten(1, (1, 28, 28)))
    return encoder, decoder


def wide_convolutions(latent_dim: int = 16, batch_norm: bool = False) -> tuple[nn.Module, nn.Module]:
    """pythae's networks for MNIST: up to 1,024 channels on maps down to a single pixel; logits out."""

    def norm(width: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(width)] if batch_norm else []

    def down(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 4, 2, 1), *norm(outputs), nn.ReLU()]

    def up(inputs: int, outputs: int, extra: int) -> list[nn.Module]:
        return [nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, extra), *norm(outputs), nn.ReLU()]

    encoder = [*down(1, 128), *down(128, 256), *down(256, 512), *down(512, 1024), nn.Flatten()]
    decoder = [nn.Linear(latent_dim, 16384), nn.Unflatten(1, (1024, 4, 4)), *up(1024, 512, 0), *up(512, 256, 1)]
    last = nn.ConvTranspose2d(256, 1, 3, 2, 1, 1)
    return nn.Sequential(*encoder, nn.Linear(1024, 2 * latent_dim)), nn.Sequential(*decoder, last)


def keras_example(latent_dim: int = 2) -> tuple[nn.Module, nn.Module]:
    """The convolutional VAE of Keras' examples; logits out."""
    encoder = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(64 * 49, 16), nn.ReLU(), nn.Linear(16, 2 * latent_dim)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(latent_dim, 64 * 49), nn.ReLU(), nn.Unflatten(1, (64, 7, 7))),
        *(nn.ConvTranspose2d(64, 64, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU()),
        nn.ConvTranspose2d(32, 1, 3, 1, 1),
    )
    return encoder, decoder


def denoiser(depth: int = 17, width: int = 64, batch_norm: bool = False) -> nn.Module:
    """3x3 convolutions at full size and a residual prediction (Zhang et al. 2017)."""
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [nn.Conv2d(width, width, 3, padding=1, bias=not batch_norm)]
        layers += [nn.BatchNorm2d(width), nn.ReLU()] if batch_norm else [nn.ReLU()]
    return Residual(nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1)))


def quick_denoiser(depth: int = 12, width: int = 48) -> nn.Module:
    """The same on a quarter of the pixels: pixel-unshuffle, plain layers, pixel-shuffle (Zhang et al. 2018)."""
    layers: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(4, width, 3, padding=1), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
    return Residual(nn.Sequential(*layers, nn.Conv2d(width, 4, 3, padding=1), nn.PixelShuffle(2)))
