"""The others, each as its own documentation uses it: ``python -m benchmarks.speed.theirs NAME BATCH IMAGES.npy``.

Runs in the rivals' own environment; imports nothing of ours but the shapes and the stopwatch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.speed.stopwatch import Stopwatch

EPOCHS = 1_000_000  # no contender ends by itself


def notebook(parts: Callable[[], Any], images: np.ndarray, batch: int, watch: Stopwatch) -> None:
    """The loop of a notebook: pictures through PIL to tensors one by one, float32, Adam, the loss of BCE."""
    import torch
    from PIL import Image
    from torch import nn
    from torch.utils.data import DataLoader, Dataset

    class Pictures(Dataset[torch.Tensor]):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> torch.Tensor:
            picture = Image.fromarray(images[index, 0], mode="L")
            return torch.from_numpy(np.array(picture)[None]).float().div(255)

    encoder, decoder = parts()
    net = nn.Sequential(encoder, decoder, nn.Sigmoid())
    optimizer, criterion = torch.optim.Adam(net.parameters()), nn.BCELoss()
    for _ in range(EPOCHS):
        for x in DataLoader(Pictures(), batch_size=batch, shuffle=True):
            optimizer.zero_grad()
            loss = criterion(net(x), x)
            loss.backward()
            optimizer.step()
            watch.tick(len(x))


def lesson(images: np.ndarray, batch: int, watch: Stopwatch) -> None:
    from benchmarks.speed import shapes

    notebook(shapes.lesson, images, batch, watch)


def denoiser(images: np.ndarray, batch: int, watch: Stopwatch) -> None:
    """The 17-layer net with batch normalization, in float32, on noisy patches."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from benchmarks.speed import shapes

    net = shapes.denoiser(batch_norm=True)
    optimizer = torch.optim.Adam(net.parameters())
    data = TensorDataset(torch.from_numpy(images).float().div(255))
    for _ in range(EPOCHS):
        for (x,) in DataLoader(data, batch_size=batch, shuffle=True, drop_last=True):
            optimizer.zero_grad()
            loss = (net(x + 0.1 * torch.randn_like(x)) - x).square().mean()
            loss.backward()
            optimizer.step()
            watch.tick(len(x))


def pythae(images: np.ndarray, batch: int, watch: Stopwatch, convolutions: bool = False) -> None:
    """pythae's VAE in pythae's trainer, with its networks."""
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class Tick(TrainingCallback):
        def on_train_step_end(self, training_config: Any, **_: Any) -> None:
            watch.tick(batch)

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=16)
    own = {"encoder": Encoder_Conv_VAE_MNIST(config), "decoder": Decoder_Conv_AE_MNIST(config)} if convolutions else {}
    data = torch.from_numpy(images).float().div(255)
    BaseTrainer(
        model=VAE(config, **own),
        train_dataset=BaseDataset(data, torch.zeros(len(data))),
        training_config=BaseTrainerConfig(
            num_epochs=EPOCHS,
            per_device_train_batch_size=batch,
            learning_rate=1e-3,
            output_dir="runs/benchmarks/pythae",
        ),
        callbacks=[Tick()],
    ).train()


def pythae_convolutions(images: np.ndarray, batch: int, watch: Stopwatch) -> None:
    pythae(images, batch, watch, convolutions=True)


def keras(images: np.ndarray, batch: int, watch: Stopwatch) -> None:
    """The convolutional VAE of Keras' examples, by Keras' own fit, on torch."""
    os.environ["KERAS_BACKEND"] = "torch"
    from benchmarks.speed import keras_vae

    keras_vae.fit(images, batch, EPOCHS, lambda: watch.tick(batch))


def pyod(images: np.ndarray, batch: int, watch: Stopwatch) -> None:
    """PyOD's AutoEncoder with its default layers, by its own fit."""
    from pyod.models.auto_encoder import AutoEncoder

    class Ticking(AutoEncoder):
        def training_forward(self, batch_data: Any) -> Any:
            found = super().training_forward(batch_data)
            watch.tick(batch)
            return found

    flat = images.reshape(len(images), -1).astype(np.float32) / 255
    Ticking(epoch_num=EPOCHS, batch_size=batch, verbose=0).fit(flat)


CONTENDERS: dict[str, Callable[[np.ndarray, int, Stopwatch], None]] = {
    f.__name__: f for f in (lesson, denoiser, pythae, pythae_convolutions, keras, pyod)
}

if __name__ == "__main__":
    name, size, file = sys.argv[1:]
    CONTENDERS[name](np.load(file), int(size), Stopwatch(float(os.environ["GARGALO_STARTED"])))
