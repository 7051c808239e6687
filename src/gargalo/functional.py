"""Formulas as pure functions of tensors and distributions. Each stands once, here."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from gargalo.distributions import DiagonalGaussian, sum_event

LEAST_SIDE, SQUARE, FEW_SQUARES = 64, 8, 8  # pixels for squares to be looked for; wavelets a side; to be believed
CUT = 2.0  # standard deviations from black or white within which noise is cut off noticeably
NORMAL_MAD, NORMAL_TENTH = 0.6745, 1.2816  # of a standard normal: median of absolute values; a tenth lie below minus it


def standard_normal_kl(q: DiagonalGaussian) -> Tensor:
    """KL(q || N(0, I)) of each dimension, ``[N, D]``, exact (Kingma and Welling 2014, appendix B)."""
    return 0.5 * (q.mean.square() + q.log_var.exp() - 1 - q.log_var)


def gaussian_kl(q: DiagonalGaussian, p: DiagonalGaussian) -> Tensor:
    """KL(q || p) of each dimension, exact."""
    gap = q.log_var - p.log_var
    return 0.5 * ((q.mean - p.mean).square() * (-p.log_var).exp() + gap.exp() - 1 - gap)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I), ``[N]``."""
    return -0.5 * sum_event(z.square() + math.log(2 * math.pi))


def log_mean_exp(x: Tensor, dim: int = 0) -> Tensor:
    """log of the mean of exp(x) along ``dim``."""
    return x.logsumexp(dim) - math.log(x.shape[dim])


def mean_squared_error(x: Tensor, y: Tensor) -> Tensor:
    """Averaged over the event, ``[N]``. For display only: objectives are sums, in nats."""
    return (x - y).square().flatten(1).mean(1)


def binary_cross_entropy(p: Tensor, x: Tensor, eps: float = 1e-7) -> Tensor:
    """Averaged over the event, ``[N]``, for display. ``p`` is cut to [eps, 1 - eps] as Keras does."""
    p = p.clamp(eps, 1 - eps)
    return -(x * p.log() + (1 - x) * torch.log1p(-p)).flatten(1).mean(1)


def psnr(mse: Tensor, peak: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio in decibels from mean squared errors, cut off at 100 dB."""
    return 10 * torch.log10(peak**2 / mse.clamp(min=peak**2 * 1e-10))


UNLIKE = 0.05  # a similarity that counts as hardly any


def ssim(x: Tensor, y: Tensor, peak: float = 1.0) -> Tensor:
    """Structural similarity of pictures ``[N, C, H, W]``, ``[N]`` (Wang et al. 2004).

    Gaussian window of sigma 1.5, population covariance, a border of half a window left out; where a picture is
    smaller than the window, the window shrinks to fit.
    """
    return _similarity(x, y, peak)[0]


def ms_ssim(x: Tensor, y: Tensor, scales: int) -> Tensor:
    """The same on pictures halved again and again, ``[N]`` (Wang et al. 2003); fewer scales where a side would get
    shorter than 4 pixels."""
    weights = torch.tensor([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:scales]
    weights = weights[: max(1, int(math.log2(min(x.shape[-2:]) / 4)) + 1)].to(x.device)
    found: list[Tensor] = []
    for last in [False] * (len(weights) - 1) + [True]:
        whole, structure = _similarity(x, y, 1.0)
        found.append(whole if last else structure)
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    if len(found) == 1:
        return found[0]
    values = torch.stack(found, 1)
    # Below, the logarithm goes on as its tangent: pictures that are wholly unlike still have a slope to follow.
    logs = values.clamp(min=UNLIKE).log() + (values - UNLIKE).clamp(max=0) / UNLIKE
    return (logs * (weights / weights.sum())).sum(1).exp()


def _similarity(x: Tensor, y: Tensor, peak: float) -> tuple[Tensor, Tensor]:
    """Structural similarity, and that without its part for brightness, ``[N]`` each."""
    radius = min(5, (min(x.shape[-2:]) - 1) // 2)
    rows, columns = (_windows(size, 1.5, radius, x)[radius : size - radius] for size in x.shape[-2:])

    def blur(image: Tensor) -> Tensor:
        return _along(image, rows, columns)

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x.square(), blur(y * y) - mean_y.square()
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return (luminance * structure).flatten(1).mean(1), structure.flatten(1).mean(1)


def spectrum(x: Tensor, bands: int) -> Tensor:
    """Energy of pictures ``[N, C, H, W]`` by spatial frequency, ``[N, bands]``: rings of equal width from 0 to half
    a cycle a pixel, the corners beyond in the last. The mean of each channel is left out; otherwise the bands add up
    to the sum of squares (Parseval)."""
    x = x - x.mean((2, 3), keepdim=True)
    power = torch.fft.fft2(x).abs().square().sum(1) / (x.shape[2] * x.shape[3])
    down, across = (torch.fft.fftfreq(size, device=x.device) for size in x.shape[-2:])
    radius = torch.hypot(down[:, None], across)
    band = (radius * 2 * bands).ceil().long().sub(1).clamp(0, bands - 1).flatten()
    return power.new_zeros(len(x), bands).index_add(1, band, power.flatten(1))


def edge_energy(x: Tensor) -> Tensor:
    """Squared steps from pixel to pixel, across and down, summed: ``[N, C, H, W]`` to ``[N]``."""
    across, down = x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
    return across.square().flatten(1).sum(1) + down.square().flatten(1).sum(1)


def smooth(x: Tensor, sigma: float) -> Tensor:
    """Pictures ``[N, C, H, W]`` under a Gaussian window; what lies outside continues the border."""
    rows, columns = (_windows(size, sigma, math.ceil(3 * sigma), x) for size in x.shape[-2:])
    return _along(x, rows, columns)


def _windows(size: int, sigma: float, radius: int, like: Tensor) -> Tensor:
    """A Gaussian window around each place of a line whose ends go on outside it, one a row: ``[size, size]``."""
    t = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
    window = torch.exp(-t.square() / (2 * sigma**2))
    places = torch.arange(size, device=like.device)
    seen = (places[:, None] + torch.arange(-radius, radius + 1, device=like.device)).clamp(0, size - 1)
    return like.new_zeros(size, size).scatter_add(1, seen, (window / window.sum()).expand(size, -1))


def _along(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``rows @ x @ columns.T`` of every picture, as two large products: a CPU is slow at convolving one channel."""
    across = x @ columns.T
    return (across.mT.contiguous() @ rows.T).mT


def oriented_edges(x: Tensor, *, sigma: float = 2.0, stride: int = 3) -> Tensor:
    """How much edge of each of eight orientations is where: ``[N, C, H, W]`` to ``[N, 8, h, w]``, of the mean over
    channels.

    Steps of brightness shared out among directions around the circle, pooled by a Gaussian window, square roots taken;
    a likeness that forgives small shifts (after Dalal and Triggs 2005). Pictures must be 3 pixels high and wide.
    """
    x = x.mean(1, keepdim=True)
    across, down = x[..., 1:-1, 2:] - x[..., 1:-1, :-2], x[..., 2:, 1:-1] - x[..., :-2, 1:-1]
    angle = torch.arange(4, device=x.device).view(-1, 1, 1) * (math.pi / 4)  # the other four are opposite to these
    along = across * torch.cos(angle) + down * torch.sin(angle)  # [N, 4, H - 2, W - 2]
    shares = along**3 / (across.square() + down.square() + 1e-6)
    shares = torch.cat([shares.clamp(min=0), -shares.clamp(max=0)], 1)
    rows, columns = (_windows(size, sigma, math.ceil(3 * sigma), x)[::stride] for size in shares.shape[-2:])
    return (rows @ shares @ columns.T).sqrt()


def outline(x: Tensor) -> Tensor:
    """What a picture is by its edges: `oriented_edges` at some nine places along its longer side, in a row ``[N, E]``.

    What has no edges, a vector or a line of pixels, is a single 0.
    """
    if x.dim() != 4 or min(x.shape[-2:]) < 3:
        return torch.zeros(len(x), 1, device=x.device)
    stride = max(1, max(x.shape[-2:]) // 9)
    return oriented_edges(x, sigma=stride / 2, stride=stride).flatten(1)


def noise_std(x: Tensor) -> Tensor:
    """Standard deviation of white noise in each channel of pictures ``[N, C, H, W]``: ``[N, C]``.

    Of the finest diagonal wavelets of Haar, as Donoho and Johnstone (1994) have it, but from the flattest tenth of
    squares, where there is least but noise. Of pictures that keep to [0, 1], squares so dark or bright that noise was
    cut off count only where there are few others. Small pictures give the median of all wavelets. What edges are left
    makes it some levels of 255 too high where there is little noise.
    """
    if min(x.shape[-2:]) < 2:
        return x.new_zeros(x.shape[:2])
    if min(x.shape[-2:]) < LEAST_SIDE:
        return _wavelets(x).flatten(2).median(2).values / NORMAL_MAD
    levels, mean = _squares(x)
    ends = ((x >= 0) & (x <= 1)).flatten(2).all(2)[..., None]  # whether there are any
    std = levels.quantile(0.1, 2)
    for _ in range(2):  # partly cut noise looks like little noise, so that the first answer is too low for the second
        whole = ~ends | ((mean - 0.5).abs() < 0.5 - CUT * std[..., None])
        whole = whole | (whole.sum(2, keepdim=True) < FEW_SQUARES)
        std = levels.masked_fill(~whole, torch.nan).nanquantile(0.1, 2)
    return std


def noise_by_brightness(x: Tensor, clean: Tensor, bins: int) -> Tensor:
    """The same of all pictures ``[N, C, H, W]`` together, by how bright squares are, from 0 to 1 in so many ``bins``:
    ``[C, bins]``, nan where there are few squares. Sides are `LEAST_SIDE` at the least.

    How they look ``clean`` says which quarter of those as bright are flat: as the noise itself does not say so, its
    mean square is right, however few there are."""
    noise, edges = (F.avg_pool2d(_wavelets(part).square(), SQUARE).transpose(0, 1).flatten(1) for part in (x, clean))
    place = (F.avg_pool2d(clean, 2 * SQUARE).transpose(0, 1).flatten(1) * bins).long().clamp(0, bins - 1)
    alike = place[:, None] == torch.arange(bins, device=x.device)[:, None]  # [C, bins, S]
    flattest = torch.where(alike, edges[:, None], torch.nan).nanquantile(0.25, 2, keepdim=True)
    squares = torch.where(alike & (edges[:, None] <= flattest), noise[:, None], torch.nan)
    return squares.nanmean(2).sqrt().masked_fill(alike.sum(2) < FEW_SQUARES, torch.nan)


def _wavelets(x: Tensor) -> Tensor:
    """The finest diagonal ones of Haar, without their sign: ``[N, C, H/2, W/2]``."""
    height, width = (side // 2 * 2 for side in x.shape[-2:])
    columns = x[..., :height, :width:2] - x[..., :height, 1:width:2]
    return (columns[..., ::2, :] - columns[..., 1::2, :]).abs() / 2


def _squares(x: Tensor) -> tuple[Tensor, Tensor]:
    """Of squares of 16 pixels the standard deviation of noise, as a tenth of those without anything else would have it
    at the most, and the brightness: ``[N, C, S]`` each."""
    mean_abs = (2 / math.pi) ** 0.5  # of a standard normal; a mean of 64 has a standard deviation of a tenth of it
    tenth = mean_abs - NORMAL_TENTH * (1 - mean_abs**2) ** 0.5 / SQUARE
    levels = F.avg_pool2d(_wavelets(x), SQUARE).flatten(2) / tenth
    return levels, F.avg_pool2d(x, 2 * SQUARE).flatten(2)


def uncut(mean: Tensor, std: Tensor) -> Tensor:
    """What pixels were whose noisy values were cut to [0, 1] and had this ``mean`` ``[N, C, H, W]``, for Gaussian noise
    of standard deviations ``std`` ``[C]``: near the ends, cutting moves the mean inwards (Foi 2009).
    """
    found = []
    for values, sigma in zip(mean.unbind(1), std.clamp(min=1e-6).tolist(), strict=True):
        known = torch.linspace(-4 * sigma, 1 + 4 * sigma, 4097, dtype=torch.float64)
        low, high = -known / sigma, (1 - known) / sigma
        inside = torch.special.ndtr(high) - torch.special.ndtr(low)
        bells = [torch.exp(-end.square() / 2) / math.sqrt(2 * math.pi) for end in (low, high)]
        cut = known * inside + sigma * (bells[0] - bells[1]) + torch.special.ndtr(-high)
        place = torch.searchsorted(cut, values.double().contiguous()).clamp(1, len(known) - 1)
        share = (values - cut[place - 1]) / (cut[place] - cut[place - 1]).clamp(min=1e-12)
        found.append(known[place - 1].lerp(known[place], share.clamp(0, 1)).float())
    return torch.stack(found, 1).clamp(0, 1)


def neighbors(x: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
    """Two pictures of half the sides ``[N, C, H/2, W/2]``: of each square of four pixels one, and one beside it.

    ``choice`` ``[N, H/2, W/2]``, from 0 to 7, says which (Huang et al. 2021).
    """
    squares = torch.nn.functional.pixel_unshuffle(x, 2).unflatten(1, (-1, 4))
    first = choice // 2
    second = torch.where(choice % 2 == 0, first ^ 1, first ^ 2)  # the other column, or the other row
    shape = (-1, x.shape[1], 1, -1, -1)
    one, other = (squares.gather(2, index[:, None, None].expand(shape)).squeeze(2) for index in (first, second))
    return one, other


def noise_correlation(x: Tensor, size: int = 8, share: float = 0.1) -> tuple[float, float]:
    """Correlation of the noise of pixels side by side in pictures ``[N, C, H, W]``, 0 where it is independent, and the
    standard error of such a 0.

    From the ``share`` of all windows of ``size`` pixels that are the flattest: what is left of them without a plane is
    noise rather than picture. Windows with pixels at 0 or 1, where noise may have been cut, are left out.
    """
    windows = x.unfold(2, size, size).unfold(3, size, size).reshape(-1, size * size)
    windows = windows[(windows.amin(1) > 0) & (windows.amax(1) < 1)].double()
    if not len(windows):
        return 0.0, math.inf
    line = torch.linspace(-1, 1, size, dtype=torch.double, device=x.device)
    plane = torch.stack([torch.ones(size, size).to(line), line.expand(size, size), line[:, None].expand(size, size)])
    basis = torch.nn.functional.normalize(plane.flatten(1))  # at right angles to one another
    rest = torch.eye(size * size).to(line) - basis.T @ basis  # without a plane: the windows, and each single pixel
    left = windows @ rest
    chosen = left[left.square().sum(1).argsort()[: max(1, int(share * len(left)))]]

    def beside(windows: Tensor) -> Tensor:
        """Right and below, of windows that have no plane."""
        w = windows.view(-1, size, size)
        products = torch.stack([(w[:, :, 1:] * w[:, :, :-1]).mean(), (w[:, 1:] * w[:, :-1]).mean()])
        return products / w.square().mean().clamp(min=1e-12)

    found = beside(chosen) - beside(rest)  # independent pixels are a little alike without their plane: by that much
    return float(max(found, key=abs)), (len(chosen) * size * (size - 1)) ** -0.5


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation (Shoemake 1985) of ``a`` and ``b``, ``[D]``, at ``t`` in [0, 1]: ``[T, D]``.

    Where the two point the same or opposite ways, or one is 0, a straight line takes its place.
    """
    t = t[:, None]
    cosine = F.cosine_similarity(a, b, dim=0)
    angle = torch.arccos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    if sine.abs() < 1e-4 or a.norm() < 1e-8 or b.norm() < 1e-8:
        return torch.lerp(a, b, t)
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine


def nt_xent(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """How hard it is to tell the partner of each row among all others, in nats, ``[2 N]`` (Chen et al. 2020).

    ``a`` and ``b`` are ``[N, D]``, row i of one the partner of row i of the other; their lengths do not count.
    """
    rows = F.normalize(torch.cat([a, b]), dim=1)
    likeness = rows @ rows.T / temperature
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    partner = torch.arange(len(rows), device=rows.device).roll(len(a))
    return F.cross_entropy(likeness.masked_fill(itself, -math.inf), partner, reduction="none")


def log_densities(z: Tensor, q: DiagonalGaussian) -> Tensor:
    """log q_k(z_n) of every row of z under every row of q, ``[N, K]``, by products of matrices: never in bfloat16, as
    small differences of large numbers."""
    with torch.autocast(z.device.type, enabled=False):
        z, mean, log_var = z.float(), q.mean.float(), q.log_var.float()
        weight = (-log_var).exp()
        squared = z.square() @ weight.T - 2 * z @ (mean * weight).T + (mean.square() * weight).sum(1)
        return -0.5 * (squared + (log_var + math.log(2 * math.pi)).sum(1))


def aggregate_log_density(q: DiagonalGaussian, z: Tensor, dataset_size: int) -> tuple[Tensor, Tensor]:
    """Estimates of log q(z) and of log of the product of all q(z_j), ``[N]`` each, from a batch (Chen et al. 2018).

    z is drawn from q, row by row; q(z) is the mean posterior of all ``dataset_size`` examples. A row's own posterior
    counts once, as it would in the whole sum, the others of the batch stand for all the rest. (In the authors' code the
    own row's weight lands in the first column, whichever row it is.)
    """
    n = len(z)
    dataset_size = max(dataset_size, n)
    gap = z[:, None] - q.mean  # [N, N, D]
    each = -0.5 * (gap.square() * (-q.log_var).exp() + q.log_var + math.log(2 * math.pi))
    own = torch.eye(n, dtype=torch.bool, device=z.device)
    others = math.log((dataset_size - 1) / dataset_size / (n - 1)) if n > 1 else -math.inf
    weight = torch.where(own, -math.log(dataset_size) if n > 1 else 0.0, others)
    whole = (each.sum(2) + weight).logsumexp(1)
    return whole, (each + weight[..., None]).logsumexp(1).sum(1)


def mmd(a: Tensor, b: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of two sets of rows, without bias (Gretton et al. 2012).

    The kernel is a sum of inverse multiquadrics of seven widths around that of N(0, I) (Tolstikhin et al. 2018).
    """
    scales = 2 * a.shape[1] * torch.tensor([0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0], device=a.device)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # small differences of large numbers
            squared = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x.float() @ y.float().T
        return (scales / (scales + squared.clamp(min=0)[..., None])).sum(2)

    def among(x: Tensor) -> Tensor:
        pairs = max(1, len(x) * (len(x) - 1))  # of a single row there is none, and nothing to sum
        return (kernel(x, x).sum() - len(scales) * len(x)) / pairs

    return among(a) + among(b) - 2 * kernel(a, b).mean()


def sliced_wasserstein(a: Tensor, b: Tensor, directions: int) -> Tensor:
    """Mean squared Wasserstein distance of two sets of as many rows along random directions (Kolouri et al. 2019)."""
    lines = F.normalize(torch.randn(a.shape[1], directions, device=a.device), dim=0)
    with torch.autocast(a.device.type, enabled=False):
        along = [(rows.float() @ lines).sort(0).values for rows in (a, b)]
    return (along[0] - along[1]).square().mean()


def reversed_gradient(x: Tensor, weight: Tensor | float) -> Tensor:
    """``x``, whose gradient goes back ``-weight`` times what it was (Ganin and Lempitsky 2015)."""
    return x.detach() - weight * (x - x.detach())


def covariance(x: Tensor) -> Tensor:
    """Of rows ``[N, D]``: ``[D, D]``, with 1/N."""
    centered = x - x.mean(0)
    return centered.T @ centered / len(x)


def jacobian_norm(outputs: Tensor, inputs: Tensor) -> Tensor:
    """The squared Frobenius norm of each row's Jacobian, ``[N]``, estimated along one random direction without bias
    (Hutchinson 1990). Rows of the outputs must depend on their own inputs alone."""
    (along,) = torch.autograd.grad(outputs, inputs, torch.randn_like(outputs), create_graph=True)
    return along.square().flatten(1).sum(1)


def code_shares(indices: Tensor, num_codes: int) -> Tensor:
    """How often each code is chosen, ``[L, num_codes]``, rows adding up to 1: of one book, indices ``[N, P]``, or of
    several, ``[N, P, L]``."""
    books = indices.flatten(0, 1) if indices.dim() == 3 else indices.flatten()[:, None]  # [N P, L]
    number = books.shape[1]
    rows = (books + num_codes * torch.arange(number, device=books.device)).flatten()
    one = torch.full(rows.shape, 1 / len(books), device=books.device)
    return torch.zeros(number * num_codes, device=books.device).index_add(0, rows, one).view(number, num_codes)


def perplexity(shares: Tensor) -> Tensor:
    """How many codes would be in use if all that are were used alike; of several books, the mean."""
    return (-torch.xlogy(shares, shares).sum(1)).exp().mean()
