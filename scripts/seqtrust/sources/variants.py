"""Variants as pairs of sequences: the same window with REF and with ALT."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seqtrust.edits import Edit, edited_anchor
from seqtrust.errors import InputError
from seqtrust.genes import Point
from seqtrust.genome import Genome, Window
from seqtrust.sequence_set import StoredWindow, store_window
from seqtrust.sources.reference import (
    beyond_contig_reason,
    centred_window,
    point_window,
)
from seqtrust.sources.skipped import Skipped
from seqtrust.sources.variant_records import Variant


@dataclass(frozen=True)
class Contrast:
    """Two sequences of one window to be compared: what a row of the contrasts table holds."""

    variant: Variant
    pair: str
    reference_id: str
    alternative_id: str
    anchor: Point | None

    def row(self) -> dict[str, Any]:
        """The row of the contrasts table."""
        variant, anchor = self.variant, self.anchor
        about = variant.name, anchor.name if anchor else variant.gene, variant.context
        distance = variant.distance or 0
        if anchor:
            distance = variant.position - anchor.position
            distance = distance if anchor.strand == "+" else -distance
        return {
            "contrast_id": ":".join(part for part in about if part),
            "pair": self.pair,
            "reference_id": self.reference_id,
            "alternative_id": self.alternative_id,
            "contig": variant.contig,
            "position": variant.position,
            "ref": variant.ref,
            "alt": variant.alt,
            "anchor": anchor.name if anchor else "",
            "distance": distance,
            "context": variant.context,
            "locus": variant.gene or (anchor.name if anchor else variant.name),
            "truth_effect": variant.truth_effect,
            "pip": variant.pip,
            "z": variant.z,
            "maf": variant.maf,
            "flipped": variant.flipped if variant.truth_effect is not None else None,
        }


class VariantSequences:
    """Windows, sequences and contrasts of a list of variants.

    Iterate over `content` first: it fills `contrasts` and `skipped`.
    """

    def __init__(
        self,
        genome: Genome,
        length: int,
        beyond_contig: str = "error",
        skipped: Iterable[Skipped] = (),
    ) -> None:
        """Start an empty collection.

        Args:
            genome: assembly of the variants.
            length: bases of each sequence.
            beyond_contig: `error`, `skip` or `pad`, as in `reference_sequences`.
            skipped: records that were left out before.
        """
        self.genome = genome
        self.length = length
        self.beyond_contig = beyond_contig
        self.contrasts: list[dict[str, Any]] = []
        self.skipped: list[Skipped] = list(skipped)

    def choose_points(
        self, variants: Iterable[Variant], points: Sequence[Point], by: str, within: int
    ) -> list[tuple[Variant, Point]]:
        """Variants with the point that each is scored at; the others are skipped and counted.

        Args:
            variants: the variants.
            points: candidates.
            by: `nearest`, or `gene`: the point named like the variant's gene.
            within: largest distance, bp.

        Raises:
            InputError: no variant has a point.
        """
        named = {point.name: point for point in points}
        pairs: list[tuple[Variant, Point]] = []
        for variant in variants:
            if by == "nearest":
                point = nearest_point(variant, points, within)
                reason = f"no point within {within} bp"
            else:
                point = named.get(variant.gene)
                reason = f"no gene within {within} bp: {variant.gene}"
                if point and not _near(variant, point, within):
                    point = None
            if point:
                pairs.append((variant, point))
            else:
                self._skip([variant], reason)
        if not pairs:
            raise InputError(f"no variant has a point within {within} bp: the selection is empty")
        return pairs

    def around_variants(
        self, variants: Iterable[Variant], strand: str = "+"
    ) -> Iterator[tuple[StoredWindow, list[tuple[str, tuple[Edit, ...]]]]]:
        """A window per variant, its first base at index length // 2 of the forward strand.

        An SNV or MNV has one window. An indel has two, which hold the base before it and the
        base after it in place; their reference sequences are equal.
        """
        rows: dict[str, list[Variant]] = {}
        for variant in variants:
            rows.setdefault(variant.name, []).append(variant)
        for name, same in rows.items():
            yield from self._around_variant(name, same, strand)

    def _around_variant(
        self, name: str, rows: list[Variant], strand: str
    ) -> Iterator[tuple[StoredWindow, list[tuple[str, tuple[Edit, ...]]]]]:
        variant, edit = rows[0], rows[0].edit
        window = centred_window(self.genome, variant.contig, variant.position, strand, self.length)
        anchors = {"only": window.anchor}
        if edit.growth:
            anchors = {"left": edit.start - 1, "right": edit.end}
        if not self._keep(name, window, rows):
            return
        if not all(
            window.start <= place < window.end for place in (*anchors.values(), edit.end - 1)
        ):
            self._skip(rows, f"longer than the window: {window}")
            return
        places = {
            pair: replace(window, anchor=anchor, anchor_index=anchor - window.start)
            for pair, anchor in anchors.items()
        }
        if not all(self._has_flank(place, rows) for place in places.values()):
            return
        for pair, place in places.items():
            suffix = "" if pair == "only" else f".{pair}"
            ids = f"{name}.ref{suffix}", f"{name}.alt{suffix}"
            yield self._store(place, name, [edit]), [(ids[0], ()), (ids[1], (edit,))]
            self.contrasts += [Contrast(row, pair, *ids, None).row() for row in rows]

    def around_points(
        self, variants: Iterable[tuple[Variant, Point]], index: int | None = None
    ) -> Iterator[tuple[StoredWindow, list[tuple[str, tuple[Edit, ...]]]]]:
        """A window per point in its orientation, shared by the variants that belong to it.

        Args:
            variants: variants, each with the point (gene or site) that it is scored at.
            index: index of the point in the model's input, 0-based; length // 2 if None.
        """
        rows: dict[Point, list[Variant]] = {}
        for variant, point in variants:
            rows.setdefault(point, []).append(variant)
        for point, same in rows.items():
            window = point_window(
                self.genome, point, self.length, self.length // 2 if index is None else index
            )
            near = [
                variant
                for variant in same
                if self._inside(variant, window, point) and self._has_flank(window, [variant])
            ]
            if not near or not self._keep(point.name, window, near):
                continue
            reference = f"{point.name}.ref"
            named = {f"{point.name}.{variant.name}": (variant.edit,) for variant in near}
            edits = [edit for (edit,) in named.values()]
            yield self._store(window, point.name, edits), [(reference, ()), *named.items()]
            self.contrasts += [
                Contrast(variant, "only", reference, f"{point.name}.{variant.name}", point).row()
                for variant in near
            ]

    def _inside(self, variant: Variant, window: Window, point: Point) -> bool:
        if window.start <= variant.edit.start and variant.edit.end <= window.end:
            return True
        self._skip([variant], f"outside the window of {point.name}: {window}")
        return False

    def _has_flank(self, window: Window, variants: Sequence[Variant]) -> bool:
        """Whether the contig can restore the length after a deletion; else they are skipped."""
        edit, size = variants[0].edit, self.genome.contigs[window.contig]
        first = edited_anchor(window.anchor, [edit], window.strand)[0] - window.anchor_index
        if self.beyond_contig == "pad" or 0 <= first <= size + edit.growth - window.length:
            return True
        reason = f"window beyond contig: {window} after {variants[0].name}, {size} bp"
        if self.beyond_contig == "error":
            raise InputError(
                f"{variants[0].file}: {reason}. Shorten the window, or set beyond_contig to "
                "'skip' or 'pad'"
            )
        self._skip(variants, reason)
        return False

    def _skip(self, variants: Iterable[Variant], reason: str) -> None:
        self.skipped += [Skipped(v.file, v.line, v.record, reason) for v in variants]

    def _keep(self, name: str, window: Window, variants: Sequence[Variant]) -> bool:
        source = variants[0].file
        reason = beyond_contig_reason(self.genome, name, window, source, self.beyond_contig)
        if reason:
            self._skip(variants, reason)
        return not reason

    def _store(self, window: Window, name: str, edits: Sequence[Edit]) -> StoredWindow:
        flank = max((-edit.growth for edit in edits), default=0)
        flank = max(flank, 0)
        return store_window(
            self.genome, window, name, (flank, flank), pad=self.beyond_contig == "pad"
        )


def nearest_point(variant: Variant, points: Sequence[Point], within: int) -> Point | None:
    """The nearest point of the variant's contig, the one with the higher score where two tie.

    Args:
        variant: the variant; its first base counts.
        points: candidates.
        within: largest distance, bp.
    """
    near = [point for point in points if _near(variant, point, within)]
    return min(
        near,
        key=lambda point: (abs(point.position - variant.position), -point.score, point.name),
        default=None,
    )


def _near(variant: Variant, point: Point, within: int) -> bool:
    return point.contig == variant.contig and abs(point.position - variant.position) <= within
