"""The README.md of a run folder: what the model is, for whoever finds the folder without its maker."""

from __future__ import annotations

import json
from typing import Any

from gargalo.registry import method


def card(run_name: str, config: dict[str, Any]) -> str:
    """Markdown from a checkpoint's config; it says nothing that the config does not."""
    spec, settings = config["spec"], config["settings"]
    given = "itself" if config["corruption"] == "none" else f"a version of it changed by `{config['corruption']}`"
    budget = f"{settings['epochs']} epochs" if settings["time"] is None else f"{settings['time']:g} seconds"
    progress = config["progress"]
    loss = progress["best_loss"]
    init = config.get("init")
    begun, seen = (
        (f", begun with the weights of {init}", f"this data and that of {init}") if init else ("", "this data")
    )
    arguments = ", ".join(f"{key}={json.dumps(value)}" for key, value in config["arguments"].items())
    return f"""# {run_name}

`{config["method"]}({arguments})`: {method.summary(config["method"])}

- Data: {config["data"]}, a {spec["kind"]} of shape {tuple(spec["shape"])}, augmented by `{config["augment"]}`;
  explains each example from {given}.
- Parts: network `{spec["network"]}`, likelihood `{spec["likelihood"]}`.
- Training: {progress["step"]:,} steps of {settings["batch_size"]}, budget {budget}, seed {settings["seed"]}{begun}; \
lowest validation loss {"not measured" if loss is None else f"{loss:.4f} nats an example"}.
- Made with gargalo {config["gargalo"]}, torch {config["environment"]["torch"]}.

The model has seen nothing but {seen}: what is unlike it comes out as if it were not.
Figures with baselines beside them: `gargalo evaluate .` and `gargalo report .`, here.

```python
import gargalo

model = gargalo.load(".")
```
"""
