"""Encoder and decoder pairs by name: ``network(spec, latent_dim, outputs, channels, *, size) -> (encoder, decoder)``.

The encoder maps ``[N, *spec.input_shape]`` to ``[N, outputs]``; the decoder maps ``[N, latent_dim]`` to
``channels`` numbers for each number of ``spec.shape``, so many times as long along its first axis.
"""

from gargalo.networks import convnet, mixer, mlp, phrases, recurrent

__all__ = ["convnet", "mixer", "mlp", "phrases", "recurrent"]
