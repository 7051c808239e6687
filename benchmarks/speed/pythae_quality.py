"""One training of pythae's VAE: ``TRAIN.npy TEST.npy SEED BATCH RATE EPOCHS``; prints seconds and test loss as JSON."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.trainers import BaseTrainer, BaseTrainerConfig


def main(train: str, test: str, seed: str, batch: str, rate: str, epochs: str) -> None:
    x, held_out = (torch.from_numpy(np.load(file)).float() / 255 for file in (train, test))
    torch.manual_seed(int(seed))
    config = BaseTrainerConfig(
        num_epochs=int(epochs),
        per_device_train_batch_size=int(batch),
        learning_rate=float(rate),
        output_dir="runs/benchmarks/pythae",
        seed=int(seed),
    )
    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=16))
    trainer = BaseTrainer(model=model, train_dataset=BaseDataset(x, torch.zeros(len(x))), training_config=config)
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    with torch.no_grad():
        sums = [float(trainer.model.eval()({"data": part}).loss) * len(part) for part in held_out.split(500)]
    print(json.dumps({"seconds": seconds, "loss": sum(sums) / len(held_out)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
