"""Planted truths: motif grammars with known rates, noisy counts, genotypes and fine-mapping.

A grammar gives every sequence a defined expected rate per bin and track, so that a mutated
or personal sequence has a truth as well. Positions are 0-based along the given sequence.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from seqtrust.bases import Codes
from seqtrust.motifs import Motif

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

Drawn = TypeVar("Drawn")

SHARP_COLUMNS: Mapping[float, float] = {0.97: 0.70, 0.85: 0.25, 0.55: 0.05}

_REACH = 4.0
_WORD_COLUMNS = 5
_SCAN_BASES = 1 << 20


@dataclass(frozen=True)
class Pair:
    """A bonus where the centres of two motifs' sites are `nearest` to `farthest` bp apart.

    Half of the bonus stands at each of the two sites; order and strands do not matter.
    """

    first: str
    second: str
    weight: float
    nearest: int
    farthest: int


@dataclass(frozen=True)
class LinearTrack:
    """A track whose log rate is a sum.

    log rate = background + sum over parents of coefficient x (log rate of the parent -
    background) + sum over motifs of weight x occupancy x kernel + pair bonuses.
    """

    name: str
    weights: Mapping[str, float]
    pairs: tuple[Pair, ...] = ()
    parents: Mapping[str, float] | None = None


@dataclass(frozen=True)
class SaturatingTrack:
    """A track that saturates in the summed rates of its parents.

    rate = ceiling x sum / (sum + half).
    """

    name: str
    parents: tuple[str, ...]
    ceiling: float
    half: float


@dataclass(frozen=True)
class Grammar:
    """What turns a sequence into expected rates.

    Attributes:
        motifs: the motifs that tracks refer to.
        tracks: the tracks; parents come before their children.
        background: log rate of a bin without sites, log counts per bin.
        threshold: fraction of a motif's maximal bits at which a site is half occupied.
        kernel_width: full width at half maximum of the Gaussian kernel around a site, bp.
        bin_width: bp per bin.
        dispersion: negative-binomial dispersion; variance = mean + dispersion x mean^2.
    """

    motifs: tuple[Motif, ...]
    tracks: tuple[LinearTrack | SaturatingTrack, ...]
    background: float = 0.7
    threshold: float = 0.7
    kernel_width: float = 120.0
    bin_width: int = 64
    dispersion: float = 0.15

    @property
    def track_names(self) -> tuple[str, ...]:
        """Names of the tracks, in order."""
        return tuple(track.name for track in self.tracks)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, also after a round trip through JSON."""
        settings = dict(record)
        settings["motifs"] = tuple(
            Motif(motif["name"], tuple(tuple(column) for column in motif["columns"]))
            for motif in record["motifs"]
        )
        settings["tracks"] = tuple(_track_from_dict(track) for track in record["tracks"])
        return cls(**settings)


def _track_from_dict(record: Mapping[str, Any]) -> LinearTrack | SaturatingTrack:
    if "ceiling" in record:
        return SaturatingTrack(**{**record, "parents": tuple(record["parents"])})
    return LinearTrack(**{**record, "pairs": tuple(Pair(**pair) for pair in record["pairs"])})


def random_motifs(
    rng: np.random.Generator,
    names: Sequence[str],
    width: int = 10,
    distance: int = 6,
    best_base: Mapping[float, float] = SHARP_COLUMNS,
) -> tuple[Motif, ...]:
    """Motifs with mostly sharp columns whose consensus sequences are unlike each other.

    Args:
        rng: source of randomness.
        names: one name per motif.
        width: columns per motif.
        distance: least number of mismatches between the consensus of a motif and that of any
            other, on either strand; also between a motif and its own reverse complement.
        best_base: probability of a column's best base, and the share of columns with it.
    """
    chosen: list[Motif] = []
    while len(chosen) < len(names):
        best = rng.integers(0, 4, size=width)
        sharpness = rng.choice(list(best_base), size=width, p=list(best_base.values()))
        columns = tuple(
            tuple(p if base == b else round((1 - p) / 3, 6) for base in range(4))
            for b, p in zip(best.tolist(), sharpness.tolist(), strict=True)
        )
        reverse = 3 - best[::-1]
        others = [reverse, *(s for m in chosen for s in (m.consensus, 3 - m.consensus[::-1]))]
        if all(np.count_nonzero(best != other) >= distance for other in others):
            chosen.append(Motif(names[len(chosen)], columns))
    return tuple(chosen)


def occupancy(codes: Codes, motif: Motif, threshold: float = 0.7) -> Floats:
    """How far every site of a motif is occupied: sigmoid(bits - threshold x maximal bits).

    Args:
        codes: base codes, shape (..., L).
        motif: the motif; a site with an N is empty.
        threshold: fraction of the maximal bits at which a site is half occupied.

    Returns:
        Occupancies in 0..1 at the first base of each site, shape (2, ..., L); index 0 holds
        the forward strand, 1 the reverse. The last w - 1 positions are 0.
    """
    return _occupancy(_words(codes, motif.width), codes.shape, motif, threshold)


def _occupancy(
    words: Sequence[Integers], shape: tuple[int, ...], motif: Motif, threshold: float
) -> Floats:
    result = np.zeros((2, *shape))
    half = threshold * motif.bits.max(axis=1).sum()
    for strand, scores in enumerate(_strand_bits(words, motif)):
        sites = result[strand, ..., : words[0].shape[-1]]
        np.divide(1.0, 1.0 + np.exp(half - scores), out=sites)
    return result


def site_bits(codes: Codes, motifs: Sequence[Motif]) -> Iterator[Floats]:
    """Log2 odds of every site of each motif against a uniform background.

    Args:
        codes: base codes, shape (..., L).
        motifs: motifs; those of equal width share work.

    Yields:
        Bits at the first base of each site, shape (2, ..., L - w + 1); index 0 holds the forward
        strand, 1 the reverse. -inf with an N.
    """
    words: dict[int, list[Integers]] = {}
    for motif in motifs:
        if motif.width not in words:
            words[motif.width] = _words(codes, motif.width)
        yield np.stack(list(_strand_bits(words[motif.width], motif)))


def _strand_bits(words: Sequence[Integers], motif: Motif) -> Iterator[Floats]:
    for tables in _word_scores(motif):
        total = tables[0][words[0]]
        for table, word in zip(tables[1:], words[1:], strict=True):
            total += table[word]
        yield total


def _words(codes: Codes, width: int) -> list[Integers]:
    """Numbers that name the bases under each group of columns of a site, shape (..., sites).

    A group shares one look-up, and motifs of equal width share the words.
    """
    sites = max(codes.shape[-1] - width + 1, 0)
    words = []
    for first in range(0, width, _WORD_COLUMNS):
        word = np.zeros((*codes.shape[:-1], sites), dtype=np.int64)
        for column in range(first, min(first + _WORD_COLUMNS, width)):
            word *= 5
            word += codes[..., column : column + sites]
        words.append(word)
    return words


@lru_cache(maxsize=256)
def _word_scores(motif: Motif) -> tuple[list[Floats], list[Floats]]:
    """Summed bits of every word of every group of columns, per strand; -inf with an N."""
    forward: list[Floats] = []
    reverse: list[Floats] = []
    for tables, bits in ((forward, motif.bits), (reverse, motif.bits[::-1, ::-1])):
        with_unknown = np.column_stack([bits, np.full(len(bits), -np.inf)])
        for first in range(0, len(bits), _WORD_COLUMNS):
            table = np.zeros(1)
            for column in with_unknown[first : first + _WORD_COLUMNS]:
                table = (table[:, None] + column).ravel()
            tables.append(table)
    return forward, reverse


def expected_rates(codes: Codes, grammar: Grammar, tracks: Sequence[str] | None = None) -> Floats:
    """Expected counts per bin of any sequence: the oracle.

    Every site at every position of both strands adds weight x occupancy x kernel to the log
    rate of the bins around it, where the kernel is a Gaussian of the distance between the
    centres of site and bin, cut at four standard deviations.

    Args:
        codes: base codes, shape (..., L); bases outside are taken as absent.
        grammar: motifs, tracks and constants.
        tracks: names of the wanted tracks, in the wanted order; all when None.

    Returns:
        Rates in counts per bin, shape (..., tracks, L // bin width); bases of a last partial
        bin still act on the bins before it.
    """
    wanted = grammar.track_names if tracks is None else tuple(tracks)
    rows = codes.reshape(-1, codes.shape[-1])
    step = max(1, _SCAN_BASES // max(codes.shape[-1], 1))
    result = np.empty((len(rows), len(wanted), codes.shape[-1] // grammar.bin_width))
    for first in range(0, len(rows), step):
        oracle = _Oracle(rows[first : first + step], grammar)
        for index, name in enumerate(wanted):
            result[first : first + step, index] = np.exp(oracle.log_rate(name))
    return result.reshape(*codes.shape[:-1], len(wanted), result.shape[-1])


class _Oracle:
    """Log rates of one batch; sites, smears and tracks are computed once and on demand."""

    def __init__(self, codes: Codes, grammar: Grammar) -> None:
        self._codes = codes
        self._grammar = grammar
        self._motifs = {motif.name: motif for motif in grammar.motifs}
        self._tracks = {track.name: track for track in grammar.tracks}
        self._words: dict[int, list[Integers]] = {}
        self._sites: dict[str, Floats] = {}
        self._log_rates: dict[str, Floats] = {}

    def log_rate(self, name: str) -> Floats:
        """Log rate of one track, shape (N, bins)."""
        if name not in self._log_rates:
            track = self._tracks[name]
            if isinstance(track, LinearTrack):
                self._log_rates[name] = self._linear(track)
            else:
                self._log_rates[name] = self._saturating(track)
        return self._log_rates[name]

    def _linear(self, track: LinearTrack) -> Floats:
        background = self._grammar.background
        bins = self._codes.shape[-1] // self._grammar.bin_width
        total = np.full((len(self._codes), bins), background)
        for parent, coefficient in (track.parents or {}).items():
            total += coefficient * (self.log_rate(parent) - background)
        for width, signal in self._signals(track).items():
            total += self._smear(signal, width)
        return total

    def _signals(self, track: LinearTrack) -> dict[int, Floats]:
        """Weighted occupancies of a track at the sites' first bases, per width of site."""
        signals: dict[int, Floats] = {}

        def add(motif: str, values: Floats) -> None:
            width = self._motifs[motif].width
            signals[width] = signals[width] + values if width in signals else values

        for motif, weight in track.weights.items():
            add(motif, weight * self._site(motif))
        for pair in track.pairs:
            for own, other in ((pair.first, pair.second), (pair.second, pair.first)):
                partners = self._partners(own, other, pair.nearest, pair.farthest)
                add(own, pair.weight / 2 * self._site(own) * partners)
        return signals

    def _saturating(self, track: SaturatingTrack) -> Floats:
        total = sum(np.exp(self.log_rate(parent)) for parent in track.parents)
        return np.log(track.ceiling * total / (total + track.half))

    def _site(self, name: str) -> Floats:
        if name not in self._sites:
            motif = self._motifs[name]
            if motif.width not in self._words:
                self._words[motif.width] = _words(self._codes, motif.width)
            self._sites[name] = _occupancy(
                self._words[motif.width], self._codes.shape, motif, self._grammar.threshold
            ).sum(axis=0)
        return self._sites[name]

    def _partners(self, own: str, other: str, nearest: int, farthest: int) -> Floats:
        """Occupancy of the `other` motif around every site of the motif `own`."""
        shift = (self._motifs[own].width - self._motifs[other].width) / 2
        signal = self._site(other)
        right = math.ceil(nearest + shift), math.floor(farthest + shift)
        left = math.ceil(shift - farthest), math.floor(shift - nearest)
        return _windowed_sum(signal, *right) + _windowed_sum(signal, *left)

    def _smear(self, signal: Floats, width: int) -> Floats:
        """Sum of signal x kernel over all sites, per bin; shape (N, bins)."""
        bin_width = self._grammar.bin_width
        bins = signal.shape[-1] // bin_width
        kernel = _kernel(bin_width, self._grammar.kernel_width, width)
        padding = -signal.shape[-1] % bin_width
        cells = np.pad(signal, ((0, 0), (0, padding))).reshape(len(signal), -1, bin_width)
        reach = len(kernel) // 2
        parts = np.zeros((len(signal), cells.shape[1] + 2 * reach, len(kernel)))
        np.matmul(cells, kernel.T, out=parts[:, reach : reach + cells.shape[1]])
        total = np.zeros((len(signal), bins))
        for offset in range(len(kernel)):
            total += parts[:, offset : offset + bins, offset]
        return total


def _windowed_sum(signal: Floats, first: int, last: int) -> Floats:
    """Sum of a signal at the offsets `first` to `last` from every position; zero outside."""
    length = signal.shape[-1]
    margin = max(abs(first), abs(last)) + 1
    sums = np.cumsum(np.pad(signal, ((0, 0), (margin, margin))), axis=-1)
    upper, lower = margin + last, margin + first - 1
    return sums[:, upper : upper + length] - sums[:, lower : lower + length]


@lru_cache
def _kernel(bin_width: int, kernel_width: float, site_width: int) -> Floats:
    """Weight of a site at each base of a bin for the bins around it, shape (offsets, bp).

    Row `reach + o` is for the bin o bins before the site's own.
    """
    sd = kernel_width / math.sqrt(8 * math.log(2))
    reach = math.ceil((_REACH * sd + site_width) / bin_width) + 1
    offsets = np.arange(-reach, reach + 1)[:, None] * bin_width
    centre = np.arange(bin_width)[None, :] + (site_width - 1) / 2 - (bin_width - 1) / 2
    distance = (centre + offsets) / sd
    return np.where(np.abs(distance) <= _REACH, np.exp(-0.5 * distance**2), 0.0)


def noisy_counts(rng: np.random.Generator, rates: Floats, dispersion: float) -> Integers:
    """Negative-binomial counts: variance = mean + dispersion x mean^2; the shape of `rates`."""
    return rng.poisson(rates * rng.gamma(1 / dispersion, dispersion, size=rates.shape))


@dataclass(frozen=True)
class Genealogy:
    """The tree of a sample without recombination.

    Attributes:
        lengths: length of the branch above each node, in units of 2N generations,
            shape (nodes,); 0 for the root.
        carriers: which leaves stand below each node, shape (nodes, leaves).
    """

    lengths: Floats
    carriers: Bools

    def mutations(self, rng: np.random.Generator, theta: float, bases: int) -> Integers:
        """Nodes above which the mutations of a stretch fall.

        Args:
            rng: source of randomness.
            theta: 4 N mu per bp, the expected diversity of two leaves of one population.
            bases: length of the stretch, bp.
        """
        total = self.lengths.sum()
        number = rng.poisson(theta / 2 * total * bases)
        return rng.choice(len(self.lengths), size=number, p=self.lengths / total)


def coalesce(
    rng: np.random.Generator, samples: Sequence[int], split_time: float = 0.1
) -> Genealogy:
    """Draw a genealogy under Kingman's coalescent (1982) with populations that once split.

    Args:
        rng: source of randomness.
        samples: leaves per population; leaves are numbered population by population.
        split_time: time before which all populations were one, in units of 2N generations.
            Every population, and their ancestor, has the same size N.
    """
    leaves = sum(samples)
    carriers = np.zeros((2 * leaves - 1, leaves), dtype=bool)
    np.fill_diagonal(carriers, True)
    born, lengths = np.zeros(len(carriers)), np.zeros(len(carriers))
    populations = [group.tolist() for group in np.split(np.arange(leaves), np.cumsum(samples)[:-1])]
    for node, (time, population) in enumerate(
        _coalescences(rng, populations, split_time), start=leaves
    ):
        for _ in range(2):
            child = population.pop(int(rng.random() * len(population)))
            carriers[node] |= carriers[child]
            lengths[child] = time - born[child]
        born[node] = time
        population.append(node)
    return Genealogy(lengths, carriers)


def _coalescences(
    rng: np.random.Generator, populations: list[list[int]], split_time: float
) -> Iterator[tuple[float, list[int]]]:
    """Times of coalescence and the lineages among which each happens; the caller merges them."""
    time = 0.0
    while True:
        pairs = [len(lineages) * (len(lineages) - 1) / 2 for lineages in populations]
        total = sum(pairs)
        wait = rng.standard_exponential() / total if total else math.inf
        if len(populations) > 1 and time + wait > split_time:
            time = split_time
            populations = [[lineage for lineages in populations for lineage in lineages]]
        elif total:
            time += wait
            draw = rng.random() * total
            index = 0
            while draw >= pairs[index]:
                draw -= pairs[index]
                index += 1
            yield time, populations[index]
        else:
            return


def diversity(carried: Bools) -> float:
    """Mean number of differences between two haplotypes of a sample.

    Args:
        carried: derived alleles, shape (sites, haplotypes).
    """
    haplotypes = carried.shape[1]
    derived = carried.sum(axis=1)
    return float(np.sum(2.0 * derived * (haplotypes - derived)) / (haplotypes * (haplotypes - 1)))


def correlation(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Pearson correlation of two vectors; 0 where either is constant."""
    a, b = first - np.mean(first), second - np.mean(second)
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale > 0 else 0.0


@dataclass(frozen=True)
class SingleEffect:
    """A single-effect regression of one phenotype on V variants; arrays of shape (V,).

    Attributes:
        beta: marginal effect per allele.
        se: its standard error.
        pip: posterior probability of being the one variant with an effect; sums to 1.
        beta_posterior: posterior mean of the effect.
        sd_posterior: posterior standard deviation of the effect.
        credible: members of the credible set; none where the set is not pure.
    """

    beta: Floats
    se: Floats
    pip: Floats
    beta_posterior: Floats
    sd_posterior: Floats
    credible: Bools


def single_effect_regression(
    dosages: npt.NDArray[Any],
    phenotype: Floats,
    covariates: Floats,
    prior_sd: float,
    coverage: float = 0.95,
    purity: float = 0.5,
) -> SingleEffect:
    """Fine-map one effect by Wakefield's approximate Bayes factors (2009).

    The single-effect model of SuSiE (Wang et al. 2020) with a fixed prior variance: exactly
    one variant has an effect, each equally likely.

    Args:
        dosages: allele counts, shape (N, V); no column is constant given the covariates.
        phenotype: shape (N,).
        covariates: shape (N, C), without the intercept, which is added.
        prior_sd: prior standard deviation of the effect per allele.
        coverage: probability that the credible set has to hold.
        purity: least absolute correlation within a credible set, as in SuSiE.
    """
    design = np.column_stack([np.ones(len(phenotype)), covariates])
    basis, _ = np.linalg.qr(design)
    x, y = _residuals(dosages.astype(float), basis), _residuals(phenotype, basis)
    squares = np.sum(x**2, axis=0)
    beta = y @ x / squares
    freedom = len(y) - design.shape[1] - 1
    variance = np.sum((y[:, None] - x * beta) ** 2, axis=0) / freedom / squares
    shrinkage = prior_sd**2 / (prior_sd**2 + variance)
    log_factor = 0.5 * np.log1p(-shrinkage) + 0.5 * beta**2 / variance * shrinkage
    # Variants in perfect linkage differ in the last bits only, and those depend on the machine.
    log_factor = np.round(log_factor, 9)
    weight = np.exp(log_factor - log_factor.max())
    pip = weight / weight.sum()
    mean = shrinkage * beta
    second_moment = pip * (mean**2 + shrinkage * variance)
    return SingleEffect(
        beta,
        np.sqrt(variance),
        pip,
        pip * mean,
        np.sqrt(second_moment - (pip * mean) ** 2),
        _credible_set(pip, x, coverage, purity),
    )


def _residuals(values: Floats, basis: Floats) -> Floats:
    return values - basis @ (basis.T @ values)


def _credible_set(pip: Floats, x: Floats, coverage: float, purity: float) -> Bools:
    order = np.argsort(-pip, kind="stable")
    size = int(np.searchsorted(np.cumsum(pip[order]), coverage)) + 1
    members = order[:size]
    normed = x[:, members] / np.linalg.norm(x[:, members], axis=0)
    credible = np.zeros(len(pip), dtype=bool)
    credible[members] = bool(np.min(np.abs(normed.T @ normed)) >= purity)
    return credible


def accept(draw: Callable[[], Drawn], ok: Callable[[Drawn], bool], tries: int = 1000) -> Drawn:
    """Draw until `ok` accepts; the seed decides how often, so a failure is a fault of the design.

    Raises:
        RuntimeError: no draw was accepted.
    """
    for _ in range(tries):
        value = draw()
        if ok(value):
            return value
    raise RuntimeError(f"none of {tries} draws was accepted: the design cannot be met")
