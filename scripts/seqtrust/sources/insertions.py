"""Motif insertion: motif instances written over background windows, and their knock-outs.

An insertion overwrites, so that the length is kept. A motif of width w at gap d upstream of
the anchor base t (0-based) covers [t - d - w, t - d) on plus windows, and
[t + 1 + d, t + 1 + d + w) with the reverse complement on minus windows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtrust import bases
from seqtrust.bases import Codes
from seqtrust.edits import Edit, sorted_disjoint
from seqtrust.errors import InputError
from seqtrust.files import read_tsv
from seqtrust.genome import Genome, Window
from seqtrust.motifs import Motif, choose_motifs
from seqtrust.sequence_set import StoredWindow, store_window
from seqtrust.sources.reference import (
    bed_windows,
    beyond_contig_reason,
    contig_windows,
    tss_windows,
)
from seqtrust.sources.seeds import named_generator
from seqtrust.sources.skipped import Skipped

ACTIVITY, MUTATION = "activity", "mutation"
INSTANCES = ("consensus", "sampled")
PLACEMENTS = ("both_strands", "published")
SAME_BASE = "knock-out base is what the instance has"


@dataclass(frozen=True)
class Placed:
    """One motif at one gap (bp, at least 0) upstream of the anchor."""

    motif: Motif
    gap: int


@dataclass(frozen=True)
class Arrangement:
    """Motifs that are inserted together; the last one placed is the one knocked out."""

    name: str
    placed: tuple[Placed, ...]


def single_motifs(motifs: Sequence[Motif], gap: int) -> list[Arrangement]:
    """Every motif alone, at one gap."""
    return [Arrangement(motif.name, (Placed(motif, gap),)) for motif in motifs]


def spacing_ladder(
    first: Motif, second: Motif, gap: int, spacings: Sequence[int]
) -> list[Arrangement]:
    """A pair of motifs at growing spacings, and the second one alone at each of its places.

    The first motif stands at `gap`; the second `spacing` bp further upstream. With the first
    alone (`single_motifs`) this gives what the pair does beyond the sum of its parts.
    """
    ladder = []
    for spacing in spacings:
        place = gap + first.width + spacing
        ladder.append(
            Arrangement(
                f"{first.name}+{second.name}@{spacing}",
                (Placed(first, gap), Placed(second, place)),
            )
        )
        ladder.append(Arrangement(f"{second.name}@{place}", (Placed(second, place),)))
    return ladder


def insertion(window: Window, placed: Placed, instance: Codes, placement: str) -> Edit:
    """The edit that writes an instance over a window.

    Args:
        window: its anchor is what the gap is counted from, its strand the orientation.
        placed: motif and gap.
        instance: base codes in motif orientation, shape (w,).
        placement: `both_strands`, or `published`, which repeats what Bajwa et al. 2024 did on
            the minus strand: the motif is not reverse complemented and starts w + d downstream
            of the anchor on the forward strand, which leaves a gap of w + d.

    Raises:
        InputError: the motif does not fit into the window.
    """
    width, anchor = len(instance), window.anchor
    written = instance
    if window.strand == "+":
        start = anchor - placed.gap - width
    elif placement == "published":
        start = anchor + width + placed.gap
    else:
        start = anchor + 1 + placed.gap
        written = bases.reverse_complement(instance)
    if start < window.start or start + width > window.end:
        raise InputError(
            f"motif {placed.motif.name!r} ({width} bp, gap {placed.gap} bp) does not fit into "
            f"window {window} with its anchor at {anchor}: use longer windows or a smaller gap"
        )
    return Edit(start, start + width, bases.decode(written))


def arrangements_of(
    motifs: Sequence[Motif], chosen: Mapping[str, Any], path: str | Path
) -> list[Arrangement]:
    """The arrangements of one `insertions` entry of the config, each once.

    Args:
        motifs: the motifs of the MEME file.
        chosen: the entry.
        path: the MEME file, for messages.
    """
    names = chosen["motifs"].get("names", [motif.name for motif in motifs])
    arrangements = single_motifs(choose_motifs(motifs, names, path), chosen["gap"])
    for ladder in chosen["ladders"]:
        first, second = choose_motifs(motifs, [ladder["first"], ladder["second"]], path)
        arrangements += spacing_ladder(first, second, chosen["gap"], ladder["spacings"])
    return list({arrangement.name: arrangement for arrangement in arrangements}.values())


class InsertionSequences:
    """Sequences and contrasts of motifs inserted into backgrounds.

    Iterate over `content` first: it fills `contrasts` and `skipped`. Contrasts of one
    arrangement have one id over all backgrounds, so that its effect is their mean:
    `activity` is motif minus background, `mutation` is knocked-out minus intact motif.
    """

    def __init__(
        self,
        genome: Genome,
        instances: str = "sampled",
        placement: str = "both_strands",
        seed: int = 1,
        truth: dict[str, float] | None = None,
    ) -> None:
        """Start an empty collection.

        Args:
            genome: assembly of the backgrounds.
            instances: `consensus`, or `sampled` from the motif, independently per background.
            placement: see `insertion`.
            seed: seed of the draws; each motif and background has a generator of its own.
            truth: effect of inserting a motif, by arrangement, where it is known.
        """
        self.genome = genome
        self.instances = instances
        self.placement = placement
        self.seed = seed
        self.truth = truth or {}
        self.contrasts: list[dict[str, Any]] = []
        self.skipped: list[Skipped] = []

    def content(
        self,
        backgrounds: Iterable[tuple[str, Window]],
        arrangements: Sequence[Arrangement],
        source: str,
        beyond_contig: str = "error",
    ) -> Iterator[tuple[StoredWindow, list[tuple[str, tuple[Edit, ...]]]]]:
        """Every background, alone and with every arrangement, intact and knocked out.

        Args:
            backgrounds: names and windows.
            arrangements: what is inserted.
            source: file or setting that the backgrounds come from, for messages.
            beyond_contig: `error`, `skip` or `pad`, as in `reference_sequences`.

        Raises:
            InputError: motifs of an arrangement overlap, or do not fit into a window.
        """
        for name, window in backgrounds:
            if reason := beyond_contig_reason(self.genome, name, window, source, beyond_contig):
                self.skipped.append(Skipped(source, 0, name, reason))
                continue
            stored = store_window(self.genome, window, name, pad=beyond_contig == "pad")
            sequences: list[tuple[str, tuple[Edit, ...]]] = [(f"{name}.ref", ())]
            for arrangement in arrangements:
                sequences += self._arranged(name, window, arrangement)
            yield stored, sequences

    def _arranged(
        self, name: str, window: Window, arrangement: Arrangement
    ) -> list[tuple[str, tuple[Edit, ...]]]:
        drawn = [self._instance(placed, name) for placed in arrangement.placed]
        intact = self._edits(window, arrangement, drawn)
        with_motif = f"{name}.{arrangement.name}"
        self._contrast(ACTIVITY, arrangement, window, f"{name}.ref", with_motif)
        sequences = [(with_motif, intact)]
        last = arrangement.placed[-1].motif
        knocked = last.knocked_out(drawn[-1])
        if (knocked == drawn[-1]).all():
            record = f"{arrangement.name} in {name}"
            self.skipped.append(Skipped("", 0, record, f"{SAME_BASE}: no mutation effect"))
        else:
            without = f"{with_motif}.knockout"
            sequences.append((without, self._edits(window, arrangement, [*drawn[:-1], knocked])))
            self._contrast(MUTATION, arrangement, window, with_motif, without)
        return sequences

    def _instance(self, placed: Placed, background: str) -> Codes:
        if self.instances == "consensus":
            return placed.motif.consensus
        return placed.motif.sample(named_generator(self.seed, placed.motif.name, background))

    def _edits(
        self, window: Window, arrangement: Arrangement, instances: Sequence[Codes]
    ) -> tuple[Edit, ...]:
        edits = [
            insertion(window, placed, instance, self.placement)
            for placed, instance in zip(arrangement.placed, instances, strict=True)
        ]
        try:
            return sorted_disjoint(edits)
        except InputError as error:
            raise InputError(f"arrangement {arrangement.name!r}: {error}") from error

    def _contrast(
        self, kind: str, arrangement: Arrangement, window: Window, reference: str, other: str
    ) -> None:
        truth = self.truth.get(arrangement.name)
        if truth is not None and kind == MUTATION:
            truth = -truth
        self.contrasts.append(
            {
                "contrast_id": f"{arrangement.name}:{kind}",
                "pair": "only",
                "reference_id": reference,
                "alternative_id": other,
                "contig": window.contig,
                "position": window.anchor,
                "ref": "",
                "alt": "",
                "anchor": "",
                "distance": -arrangement.placed[-1].gap,
                "context": kind,
                "locus": arrangement.name,
                "truth_effect": truth,
            }
        )


def background_windows(
    genome: Genome, chosen: Mapping[str, Any], path: str, length: int, index: int | None
) -> list[tuple[str, Window]]:
    """The backgrounds of one `insertions` entry of the config.

    Args:
        genome: assembly of the backgrounds.
        chosen: `{kind: settings}` with the kind `points`, `bed` or `contigs`.
        path: the BED or the file of points.
        length: bases of each window.
        index: index of the anchor in the sequence, 0-based; length // 2 if None.
    """
    ((kind, settings),) = chosen.items()
    if kind == "contigs":
        windows = contig_windows(genome, length, index, settings.get("matching", "*"))
    elif kind == "bed":
        windows = bed_windows(genome, path, length)
    else:
        windows = tss_windows(genome, path, length, index)
    return windows[: settings.get("first")]


def read_truth(path: str | Path) -> dict[str, float]:
    """Known effects of inserting motifs: a TSV with the columns `motif` and `effect`.

    Raises:
        InputError: a column is missing.
    """
    table = read_tsv(path)
    if not {"motif", "effect"} <= set(table.columns):
        raise InputError(
            f"{path} needs the columns motif and effect; it has: {', '.join(table.columns)}"
        )
    return {
        str(motif): float(effect)
        for motif, effect in zip(table["motif"], table["effect"], strict=True)
    }
