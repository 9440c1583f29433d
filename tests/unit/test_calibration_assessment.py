"""From predictions of replicates to the table and figures of their calibration."""

import numpy as np
import pandas as pd
import pytest

from seqtrust.calibration.assessment import SCHEMA, assess
from seqtrust.calibration.ensembles import (
    WindowGroups,
    block_groups,
    calibration_data,
    table_groups,
)
from seqtrust.calibration.methods import METHODS
from seqtrust.errors import InputError
from seqtrust.figures.calibration import (
    calibration_figure,
    calibration_table,
    risk_figure,
    risk_table,
)
from seqtrust.figures.style import save_figure
from seqtrust.genome import SplitRegions
from seqtrust.models.facts import Facts, Track
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.tables import dump, read_table, write_table
from seqtrust.targets import Targets

WIDTH, BINS, COUNT = 4, 3, 120
LENGTH = WIDTH * BINS
SPEC = OutputSpec("profile", (0, 1), tuple(range(BINS)), "none", ("a", "b"))
SEQUENCES = SequenceSet(
    [
        StoredWindow(f"w{i}", "toy", "c", LENGTH * i, 0, LENGTH, "+", LENGTH * i,
                     np.zeros(LENGTH, dtype=np.uint8))
        for i in range(COUNT)
    ],
    [Sequence(f"s{i}", i) for i in range(COUNT)],
)  # fmt: skip
IDS = [f"s{i}" for i in range(COUNT)]
# windows 0 to 59, 60 to 119, and the last one, which is in neither
REGIONS = SplitRegions.from_rows(
    [("validation", "c", 0, 60 * LENGTH), ("test", "c", 60 * LENGTH, 119 * LENGTH)]
)
ENTRY = {"simulated": {"label": "Simulated"}}


def facts(variances=False):
    tracks = [Track("a"), Track("b")]
    if variances:
        tracks += [Track("a variance", variance_of=0), Track("b variance", variance_of=1)]
    return Facts(None, WIDTH, 0, tuple(tracks), 9, "toy1", "log_expression")


def simulated(seed=0, replicates=6, noise=1.0, stated=None):
    """Replicates that scatter around the truth, and targets with `noise` beside."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(2, 1, size=(COUNT, 2, BINS))
    spread = np.exp(rng.normal(-0.5, 0.3, size=(COUNT, 1, BINS)))
    known = facts(stated is not None)
    spec = SPEC
    if stated is not None:
        names = tuple(track.name for track in known.tracks)
        spec = OutputSpec("profile", (0, 1, 2, 3), SPEC.bins, "none", names)
    found = {}
    for index in range(replicates):
        values = truth + spread * rng.standard_normal(truth.shape)
        if stated is not None:
            values = np.concatenate([values, np.full_like(values, np.log(stated))], axis=1)
        found[f"r{index}"] = Predictions(
            IDS, {"profile": values.astype(np.float32)}, [spec], {"profile": 0},
            {"facts": dump(known.to_dict())},
        )  # fmt: skip
    measured = truth + spread * rng.standard_normal(truth.shape)
    measured = measured + noise * rng.standard_normal(truth.shape)
    rows = np.moveaxis(measured, 1, 2).reshape(-1, 2).astype(np.float32)
    return found, Targets(("a", "b"), WIDTH, {"c": rows})


def data_of(predictions, targets, block=2 * LENGTH, **options):
    groups = block_groups(SEQUENCES, block)
    return calibration_data(predictions, SEQUENCES, targets, REGIONS, "profile", groups, **options)


@pytest.fixture(scope="module")
def table():
    return pd.DataFrame(assess(data_of(*simulated()), METHODS, seed=1))


def value(table, metric, method="none", track="a", level=None, subset="all"):
    mine = table[
        (table["metric"] == metric)
        & (table["method"] == method)
        & (table["track"] == track)
        & (table["subset"] == subset)
        & (table["level"].isna() if level is None else np.isclose(table["level"], level))
    ]
    assert len(mine) == 1, (metric, method, len(mine))
    return mine.iloc[0]


def test_forecasts_against_a_loop():
    predictions, targets = simulated()
    data = data_of(predictions, targets)
    assert data.tracks == ("a", "b")
    for part, windows in ((data.calibration, range(60)), (data.evaluation, range(60, 119))):
        row = 0
        for window in windows:
            for place in range(BINS):
                for track in range(2):
                    values = [
                        p.values["profile"][window, track, place] for p in predictions.values()
                    ]
                    mean, between = (
                        np.mean(values, dtype=float),
                        np.var(values, ddof=1, dtype=float),
                    )
                    assert part.forecasts.mean[row, track] == pytest.approx(mean)
                    assert part.between[row, track] == pytest.approx(between)
                    assert part.forecasts.sd[row, track] == pytest.approx(between**0.5)
                    assert part.forecasts.observed[row, track] == pytest.approx(
                        targets.values["c"][window * BINS + place, track]
                    )
                assert part.forecasts.groups[row] == f"c:{window // 2}"
                row += 1
        assert row == len(part.forecasts.mean)
    assert (data.evaluation.within == 0).all()
    assert data.left_out == 0


def test_stated_variances_are_added():
    data = data_of(*simulated(stated=0.7))
    assert data.tracks == ("a", "b")
    np.testing.assert_allclose(data.evaluation.within, 0.7, rtol=1e-6)
    np.testing.assert_allclose(
        data.evaluation.forecasts.sd**2, data.evaluation.between + data.evaluation.within
    )
    found = pd.DataFrame(assess(data, [], 1))
    assert value(found, "within_variance")["value"] == pytest.approx(0.7, rel=1e-6)


def test_log_scale_is_taken_before_replicates_are_mixed():
    predictions, targets = simulated(seed=3)
    positive = {
        name: Predictions(
            p.sequence_ids, {"profile": np.abs(p.values["profile"])}, p.outputs, {}, p.metadata
        )
        for name, p in predictions.items()
    }
    measured = Targets(targets.tracks, WIDTH, {"c": np.abs(targets.values["c"])})
    data = data_of(positive, measured, scale="log2p1")
    one = np.log2(1 + np.array([p.values["profile"][60, 0, 0] for p in positive.values()], float))
    assert data.evaluation.forecasts.mean[0, 0] == pytest.approx(one.mean())
    assert data.evaluation.between[0, 0] == pytest.approx(one.var(ddof=1))
    with pytest.raises(InputError, match=r"has no log2\(1 \+ value\): take errors on the scale"):
        data_of(predictions, targets, scale="log2p1")


def test_validation_windows_that_share_a_group_with_test_windows_are_left_out():
    """Blocks of 7 windows: block 8 holds windows 56 to 62, four of them for validation."""
    predictions, targets = simulated()
    data = data_of(predictions, targets, block=7 * LENGTH)
    assert data.left_out == 4
    assert len(data.calibration.forecasts.mean) == 56 * BINS
    fitted = set(data.calibration.forecasts.groups.tolist())
    assert not fitted & set(data.evaluation.forecasts.groups.tolist())
    with pytest.raises(InputError, match="all 60 validation windows share a group with a test"):
        data_of(predictions, targets, block=10_000)


def test_a_window_across_two_blocks_belongs_to_both_when_groups_are_compared():
    groups = block_groups(SEQUENCES, 10)
    assert groups.touched[0] == ("c:0", "c:1")
    assert groups.main[0] == "c:0"


def test_what_must_hold_of_the_table(table):
    columns = [column.name for column in SCHEMA.columns]
    assert list(table.columns) == columns
    assert not table.duplicated(["track", "method", "metric", "level", "subset"]).any()
    assert set(table["method"]) == {"none", *METHODS}
    for track in ("a", "b"):
        # replicates state the spread of one of them, not the noise of measurements
        assert value(table, "variance_ratio", track=track)["value"] < 0.6
        assert value(table, "coverage", track=track, level=0.9)["high"] < 0.85
        for method in METHODS:
            row = value(table, "coverage", method, track, 0.9)
            assert row["low"] < row["value"] < row["high"]
            # calibration and test rows both err: 3.5 binomial errors of two samples of 177
            assert row["value"] == pytest.approx(0.9, abs=3.5 * (2 * 0.09 / 177) ** 0.5)
            assert row["rows"] == 59 * BINS
            assert row["groups"] == 30
            score = value(table, "interval_score", method, track, 0.9)["value"]
            assert score < value(table, "interval_score", track=track, level=0.9)["value"]
        risk = value(table, "risk", track=track, level=1.0)["value"]
        assert risk == pytest.approx(value(table, "mse", track=track)["value"])
        assert value(table, "kept", track=track, level=0.5)["value"] == pytest.approx(0.5, abs=0.2)
        area = value(table, "normalised_aurc", track=track)
        assert area["low"] < area["value"] < area["high"]
        parts = [
            value(table, "coverage", "split", track, 0.9, subset)
            for subset in ("low", "middle", "high")
        ]
        assert sum(row["rows"] for row in parts) == 59 * BINS
        total = sum(row["rows"] * row["value"] for row in parts) / (59 * BINS)
        assert total == pytest.approx(value(table, "coverage", "split", track, 0.9)["value"])


def test_scaling_multiplies_the_stated_variance(table):
    factor = value(table, "variance_factor", "variance_scaling")["value"]
    assert factor > 1
    before, after = (
        value(table, "rms_sd", method)["value"] for method in ("none", "variance_scaling")
    )
    assert after == pytest.approx(before * factor**0.5)


def test_two_assessments_are_equal(table):
    again = pd.DataFrame(assess(data_of(*simulated()), METHODS, seed=1))
    pd.testing.assert_frame_equal(table, again)


def test_gaps_in_targets_leave_rows_out():
    predictions, targets = simulated()
    targets.values["c"][180:240, 1] = np.nan
    found = pd.DataFrame(assess(data_of(predictions, targets), ["split"], 1))
    assert value(found, "mse", track="a")["rows"] == 177
    assert value(found, "mse", track="b")["rows"] == 117
    assert value(found, "risk", track="b", level=1.0)["rows"] == 117


def test_replicates_that_agree_exactly_are_named_with_their_track():
    predictions, targets = simulated()
    for p in predictions.values():
        p.values["profile"][10, 1, 0] = 1
        p.values["profile"][70, 1, 0] = 1
    data = data_of(predictions, targets)
    found = pd.DataFrame(assess(data, ["split"], 1))
    assert np.isnan(value(found, "ence", track="b")["value"])
    assert np.isinf(value(found, "nll", track="b")["value"])
    assert np.isfinite(value(found, "crps", track="b")["value"])
    with pytest.raises(InputError, match="calibration of 'b': variance scaling divides by"):
        assess(data, ["variance_scaling"], 1)


def test_few_rows_have_no_ence():
    predictions, targets = simulated()
    targets.values["c"][: 60 * BINS - 5] = np.nan
    targets.values["c"][60 * BINS + 5 :] = np.nan
    data = calibration_data(
        predictions, SEQUENCES, targets, REGIONS, "profile", block_groups(SEQUENCES, LENGTH)
    )
    found = pd.DataFrame(assess(data, ["split"], 1))
    assert np.isnan(value(found, "ence")["value"])
    assert value(found, "width", "split", level=0.95)["value"] == np.inf


def test_unusable_outputs_and_splits_are_refused():
    predictions, targets = simulated()
    groups = block_groups(SEQUENCES, LENGTH)

    def refused(match, found=predictions, regions=REGIONS, **options):
        with pytest.raises(InputError, match=match):
            calibration_data(found, SEQUENCES, targets, regions, "profile", groups, **options)

    def respecified(spec, known):
        return {
            name: Predictions(
                IDS, p.values, [spec], {}, p.metadata | {"facts": dump(known.to_dict())}
            )
            for name, p in predictions.items()
        }

    only = SplitRegions.from_rows([("validation", "c", 0, 99)])
    refused(r"no sequence lies in the test split .*found: unknown, validation\)", regions=only)
    refused("1 replicates have no variance between them", {"r0": predictions["r0"]})
    reduced = OutputSpec("profile", (0, 1), SPEC.bins, "sum", ("a", "b"))
    refused("output 'profile' is the sum over bins", respecified(reduced, facts()))
    half = OutputSpec("profile", (0, 1, 2), SPEC.bins, "none", ("a", "b", "a variance"))
    refused("holds track 'a' without its variance", respecified(SPEC, facts(True)))
    refused("holds track 'b' without its variance", respecified(half, facts(True)))
    bare = OutputSpec("profile", (2, 3), SPEC.bins, "none", ("a variance", "b variance"))
    refused("has tracks of variances only", respecified(bare, facts(True)))
    stated, _ = simulated(stated=1.0)
    refused("states variances on the model's own scale", stated, scale="log2p1")


def test_groups_of_contigs_come_from_a_table(tmp_path):
    path = tmp_path / "groups.tsv"
    path.write_text("contig\tgroup\nc\tpeak 1\nd\tpeak 2\n")
    groups = table_groups(SEQUENCES, path)
    assert isinstance(groups, WindowGroups)
    assert set(groups.main.tolist()) == {"peak 1"}
    assert groups.touched[5] == ("peak 1",)
    for text, message in (
        ("contig\tgroup\nd\tx\n", "120 sequences are on contigs without a group, the first on 'c'"),
        ("contig\tgroup\nc\tx\nc\ty\n", "contig 'c' has two rows"),
        ("contig\tpeak\nc\tx\n", "has no column 'group'"),
        ("contig\tgroup\nd\tx\nc\t\n", "line 3: expected a contig and a group"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            table_groups(SEQUENCES, path)


@pytest.mark.slow
def test_the_table_is_written_and_drawn(table, tmp_path):
    columns = {name: table[name].tolist() for name in table.columns}
    write_table(tmp_path / "table.parquet", SCHEMA, columns)
    read = read_table(tmp_path / "table.parquet", SCHEMA).to_pandas()
    for make, draw, metrics in (
        (calibration_table, calibration_figure,
         {"coverage", "below", "width", "interval_score"}),
        (risk_table, risk_figure, {"risk", "ideal_risk", "kept", "kept_risk"}),
    ):  # fmt: skip
        shown = make([read], ENTRY)
        assert set(shown["metric"]) == metrics
        assert set(shown["calibration"]) == {"simulated"}
        figure = draw(shown, ENTRY)
        paths = [tmp_path / f"{draw.__name__}.{suffix}" for suffix in ("png", "pdf", "tsv")]
        save_figure(figure, paths, shown, toy=True)
        assert paths[0].stat().st_size > 20_000
        assert "2 tracks, 177 test rows in 30 groups" in figure.axes[0].get_title(loc="left")


def test_curves_in_the_figure_are_medians_over_tracks(table):
    shown = calibration_table([table], ENTRY)
    coverage = calibration_figure(shown, ENTRY).axes[1]
    line = next(line for line in coverage.get_lines() if line.get_label() == "split")
    mine = table[
        (table["metric"] == "coverage") & (table["method"] == "split") & (table["subset"] == "all")
    ]
    gap = (mine["value"] - mine["level"]).groupby(mine["level"]).median()
    np.testing.assert_allclose(line.get_xdata(), gap.index)
    np.testing.assert_allclose(line.get_ydata(), gap)
    risks = risk_figure(risk_table([table], ENTRY), ENTRY).axes[0]
    best, stated = (
        next(line for line in risks.get_lines() if line.get_label() == name).get_ydata()
        for name in ("best order", "by stated variance")
    )
    assert stated[-1] == pytest.approx(1)
    assert (np.asarray(best) <= np.asarray(stated) + 1e-12).all()


def test_equal_losses_have_no_normalised_area():
    data = data_of(*simulated())
    rows = data.evaluation.forecasts
    rows.observed[:] = rows.mean + 0.5
    found = pd.DataFrame(assess(data, [], 1))
    area = value(found, "normalised_aurc")
    assert area[["value", "low", "high"]].isna().all()
    assert value(found, "aurc")["value"] == pytest.approx(0.25)
