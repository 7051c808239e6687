"""Encoder and decoder pairs by name: ``network(spec, latent_dim, outputs, channels, *, size) -> (encoder, decoder)``.

The encoder maps ``[N, *spec.input_shape]`` to ``[N, outputs]``; the decoder maps ``[N, latent_dim]`` to
``channels`` numbers for each number of ``spec.shape``.
"""

from gargalo.networks import convnet, mlp

__all__ = ["convnet", "mlp"]
