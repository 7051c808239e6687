"""The convolutional VAE that Keras' examples are known for, written for Keras 3 on torch. Imported in its own place
because it chooses its base class when it is imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch
from keras import layers


class VAE(keras.Model):
    def __init__(self, latent_dim: int = 2) -> None:
        super().__init__()
        self.encoder = keras.Sequential(
            [
                layers.Conv2D(32, 3, activation="relu", strides=2, padding="same"),
                layers.Conv2D(64, 3, activation="relu", strides=2, padding="same"),
                layers.Flatten(),
                layers.Dense(16, activation="relu"),
                layers.Dense(2 * latent_dim),
            ]
        )
        self.decoder = keras.Sequential(
            [
                layers.Dense(7 * 7 * 64, activation="relu"),
                layers.Reshape((7, 7, 64)),
                layers.Conv2DTranspose(64, 3, activation="relu", strides=2, padding="same"),
                layers.Conv2DTranspose(32, 3, activation="relu", strides=2, padding="same"),
                layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same"),
            ]
        )

    def call(self, x: Any) -> Any:
        mean, log_var = keras.ops.split(self.encoder(x), 2, axis=1)
        return self.decoder(mean + keras.ops.exp(0.5 * log_var) * keras.random.normal(mean.shape)), mean, log_var

    def train_step(self, data: Any) -> dict[str, Any]:
        self.zero_grad()
        out, mean, log_var = self(data, training=True)
        ops = keras.ops
        nll = ops.mean(ops.sum(keras.losses.binary_crossentropy(data, out), axis=(1, 2)))
        kl = ops.mean(ops.sum(-0.5 * (1 + log_var - ops.square(mean) - ops.exp(log_var)), axis=1))
        loss = nll + kl
        loss.backward()
        trainable = list(self.trainable_weights)
        with torch.no_grad():
            self.optimizer.apply([v.value.grad for v in trainable], trainable)
        return {"loss": loss}


def fit(images: np.ndarray, batch: int, epochs: int, step_done: Callable[[], None]) -> None:
    class Tick(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            step_done()

    model = VAE()
    model.compile(optimizer=keras.optimizers.Adam())
    model.fit(
        images[:, 0, :, :, None].astype("float32") / 255, epochs=epochs, batch_size=batch, verbose=0, callbacks=[Tick()]
    )
