"""The consistency scores in loops over positions, and maps that both are tried on."""

import math
from collections import Counter

import numpy as np

MOTIFS = ("CACGTG", "CCGGAAG", "TTGCGCAA", "GGGCGGG", "CAAGATGG")
PI = 3.1416


def waves():
    """The maps and sequences of the test vectors: 4 maps of 12 positions, no ties."""
    n, place, base = np.meshgrid(np.arange(4), np.arange(12), np.arange(4), indexing="ij")
    maps = np.sin(1 + 2 * n + 3 * place + 5 * base + n * place * base)
    n, place = np.meshgrid(np.arange(4), np.arange(12), indexing="ij")
    return maps, ((n + 2 * place + place * place // 3) % 4).astype(np.uint8)


def planted(count, noise, seed, length=200):
    """One in each third of a random sequence, a motif is what the maps show, with noise."""
    rng = np.random.default_rng(seed)
    sequences = rng.integers(0, 4, (count, length)).astype(np.uint8)
    shown = np.zeros((count, length))
    third = length // 3
    for n in range(count):
        for slot in range(3):
            motif = ["ACGT".index(letter) for letter in MOTIFS[rng.integers(5)]]
            start = slot * third + rng.integers(0, third - len(motif))
            sequences[n, start : start + len(motif)] = motif
            shown[n, start : start + len(motif)] = 1
    maps = np.eye(4)[sequences] * shown[..., None]
    return maps + noise * rng.normal(size=maps.shape), sequences


def iid(count, seed, length=200):
    """Maps without any signal, and random sequences."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(count, length, 4))
    return maps, rng.integers(0, 4, (count, length)).astype(np.uint8)


def strong_stretches(norms, quantile, extension=(0, 2)):
    """Lists of (first, last), one list per map that has a position above its quantile."""
    found = []
    for number, row in enumerate(norms):
        cut = np.quantile(row, quantile)
        above = [place for place, value in enumerate(row) if value > cut]
        runs = []
        for place in above:
            if runs and place == runs[-1][1] + 1:
                runs[-1][1] = place
            else:
                runs.append([place, place])
        joined = []
        for first, last in runs:
            first = max(first - extension[0], 0)
            last = min(last + extension[1], len(row) - 1)
            if joined and first <= joined[-1][1]:
                joined[-1][1] = max(joined[-1][1], last)
            else:
                joined.append([first, last])
        if joined:
            found.append((number, [tuple(stretch) for stretch in joined]))
    return found


def kmers_of(stretch, k):
    """All k-mers of letters without N."""
    words = [stretch[i : i + k] for i in range(len(stretch) - k + 1)]
    return [word for word in words if "N" not in word]


def smaller_strand(word):
    other = word[::-1].translate(str.maketrans("ACGT", "TGCA"))
    return min(word, other)


def kmer_twin(maps, sequences, k, quantile, mode, merged=False, extension=(0, 2)):
    """(score, divergence, number of k-mers) with strings and counters."""
    letters = ["".join("ACGTN"[code] for code in row) for row in sequences]
    numbers = range(len(maps))
    if mode == "corrected":
        with np.errstate(invalid="ignore"):
            maps = maps - maps.mean(axis=2, keepdims=True)
        numbers = [n for n in numbers if np.isfinite(maps[n]).all() and np.abs(maps[n]).max() > 0]
        maps, letters = maps[numbers], [letters[n] for n in numbers]
    norms = [[math.sqrt(sum(value * value for value in place)) for place in one] for one in maps]
    counts, background = Counter(), Counter()
    for rank, (number, stretches) in enumerate(
        strong_stretches(np.array(norms), quantile, extension)
    ):
        text = letters[rank if mode == "published" else number]
        for first, last in stretches:
            counts.update(kmers_of(text[first : last + 1], k))
    for text in letters:
        background.update(kmers_of(text, k))
    if merged:
        counts, background = (
            Counter(smaller_strand(word) for word in table.elements())
            for table in (counts, background)
        )
    total, all_of = sum(counts.values()), sum(background.values())
    if not total:
        return math.nan, math.nan, 0
    raw = sum(c / total * math.log(c / total / (background[w] / all_of)) for w, c in counts.items())
    bias = (len(counts) - 1) / (2 * total) if mode == "corrected" else 0
    return raw - bias, raw, total


def coordinates(vector, isometric):
    """e1, e2, e3 of one vector over A, C, G, T."""
    x, y, z, w = vector
    e2 = math.sqrt(2 / 3) * (-x / 2 - y / 2 + (z if isometric else 0))
    return (-x + y) / math.sqrt(2), e2, math.sqrt(3 / 4) * (-x / 3 - y / 3 - z / 3 + w)


def window_twin(maps, window, circular):
    """Window sums of centred maps over their L2,1 norm, as 4-vectors; zero where NaN."""
    found = []
    for one in maps:
        with np.errstate(invalid="ignore", divide="ignore"):
            own = one - one.mean(axis=1, keepdims=True)
            own = own / sum(math.sqrt((place * place).sum()) for place in own)
        last = len(own) if circular else len(own) - window + 1
        for start in range(last):
            total = sum(own[(start + j) % len(own)] for j in range(window))
            found.append(np.nan_to_num(total))
    return found


def longest(vectors, fraction):
    """Vectors strictly longer than the M-th longest, and that length."""
    lengths = [math.sqrt(sum(value * value for value in vector)) for vector in vectors]
    cut = sorted(lengths)[-int(fraction * len(lengths))]
    return [vector for vector, own in zip(vectors, lengths, strict=True) if own > cut], cut


def published_angles_twin(e1, e2, e3):
    """Azimuth by quadrants, halved and turned, and polar angle."""
    x, y, z = e2, e3, e1
    if x == 0:
        azimuth = PI / 2
    else:
        azimuth = math.atan(y / x)
        if x < 0:
            azimuth += PI if y >= 0 else -PI
    return azimuth / 2 + PI / 2, math.acos(z / math.sqrt(x * x + y * y + z * z))


def published_embedding_twin(maps, window, fraction, box, reach, isometric=False):
    """(score, cutoff, kept) box by box."""
    sums = [coordinates(v, isometric) for v in window_twin(maps, window, circular=True)]
    kept, cut = longest(sums, fraction)
    boxes = int(PI / box)
    weight = np.zeros((boxes, boxes))
    for vector in kept:
        row, column = (min(int(angle / box), boxes - 1) for angle in published_angles_twin(*vector))
        weight[row, column] += sum(value * value for value in vector)
    density = weight / (weight.sum() * box * box)
    score = 0.0
    for i in range(1, boxes - 1):
        for j in range(1, boxes - 1):
            around = [
                density[i + a, j + b]
                for a in range(-reach, reach)
                for b in range(-reach, reach)
                if 1 <= i + a < boxes and 1 <= j + b < boxes
            ]
            if density[i, j] > 0:
                score += density[i, j] * math.log(density[i, j] / (sum(around) / len(around)))
    return score * box * box, cut, len(kept)


def corrected_embedding_twin(maps, window, fraction, box):
    """(score, divergence, kept) vector by vector; angles from the base axes themselves."""
    vectors = window_twin(maps, window, circular=False)
    kept, _ = longest(vectors, fraction)
    rows, columns = 2 * int(math.pi / (2 * box)) + 1, 4 * round(math.pi / (2 * box))
    scores, raws = [], []
    for first, second in (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))):
        weights, squares = Counter(), 0.0
        for vector in kept:
            x = (vector[first[1]] - vector[first[0]]) / math.sqrt(2)
            y = (vector[second[1]] - vector[second[0]]) / math.sqrt(2)
            pole = (vector[list(second)].sum() - vector[list(first)].sum()) / 2
            square = x * x + y * y + pole * pole
            row = min(int((pole / math.sqrt(square) + 1) / 2 * rows), rows - 1)
            column = round(math.atan2(y, x) / (2 * math.pi) * columns) % columns
            weights[row, column] += square
            squares += square * square
        total = sum(weights.values())
        raw = sum(w / total * math.log(w / total * rows * columns) for w in weights.values())
        raws.append(raw)
        scores.append(raw - (len(weights) - 1) * squares / (2 * total * total))
    return sum(scores) / 3, sum(raws) / 3, len(kept)
