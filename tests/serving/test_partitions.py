"""A night's scores are the same on one machine, in one process, and on a Spark cluster of several."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from decisioning.case import plain_of
from features.bank.spark_engine import INSTALL
from features.errors import BadRequest
from serving.desk.ground import Ground
from serving.night.night_scores import score_everybody
from serving.night.partitions import SCHEMA, PartitionScorer
from serving.releases import current
from tests.serving.conftest import Bank
from tests.serving.homes import CUSTOMERS, INSTANT
from training.encoding import arrays_of

DAY, CHANNEL, N = INSTANT.date(), "SMS", 90
ROOT = Path(__file__).parents[2]
is_here = find_spec("pyspark") is not None and shutil.which("java") is not None
needs_spark = pytest.mark.skipif(not is_here, reason=f"no Spark here: {INSTALL}")


@pytest.fixture(scope="module")
def scorer(written_home: Path) -> PartitionScorer:
    return PartitionScorer(written_home, current(written_home).id, DAY, CHANNEL)


def people(n: int = N) -> pd.DataFrame:
    """Facts of n customers, a sixth of each missing; some that no model asks for, others that are not there."""
    chance = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "age": chance.integers(18, 80, n).astype(float),
            "mda": np.exp(chance.normal(10, 1.5, n)),
            "tier": chance.choice(["V0", "V1", "V4", "V9"], n),
            "days_to_maturity": chance.integers(0, 60, n).astype(float),
            "favourite_colour": "red",
        }
    )
    frame = frame.mask(chance.random(frame.shape) < 1 / 6)
    frame.insert(0, "customer_id", [f"C{place:03d}" for place in range(n)])
    return frame


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two executors, each a process of its own with Python processes of its own."""
    from pyspark.sql import SparkSession

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    builder = builder.config("spark.local.dir", str(tmp_path)).config("spark.sql.warehouse.dir", str(tmp_path / "w"))
    session = builder.config("spark.executorEnv.PYTHONPATH", os.environ["PYTHONPATH"]).getOrCreate()
    yield session
    session.stop()


def test_a_partitions_scores_are_the_scorers(scorer: PartitionScorer, written_home: Path) -> None:
    ground = Ground(current(written_home))
    own, frame = ground.rulebook(DAY).scorer, people()
    models = [model for model in (ground.champions.response, ground.champions.churn) if model is not None]
    features = {f.name: f for model in models for f in model.recipe.features if f.name in frame}
    facts = arrays_of(frame, features.values())
    scores = own.score(facts, N, CHANNEL)
    assert scores is not None
    (found,) = scorer(iter([frame]))
    np.testing.assert_array_equal(found["p"].to_numpy().reshape(N, -1), scores.p)
    np.testing.assert_array_equal(found["p_channel"].to_numpy().reshape(N, -1), scores.p_channel)
    np.testing.assert_array_equal(found["p_churn"].to_numpy().reshape(N, -1)[:, 0], own.churn(facts, N))
    assert found["customer_id"].tolist() == [name for name in frame["customer_id"] for _ in own.catalogue.offer_ids]
    assert found["offer_id"].tolist() == list(own.catalogue.offer_ids) * N
    assert np.ptp(scores.p) > 0.05
    ground.close()


def test_how_customers_are_parted_changes_no_score(scorer: PartitionScorer) -> None:
    frame = people()
    (whole,) = scorer(iter([frame]))
    parts = scorer(iter([frame.iloc[:1], frame.iloc[1:50], frame.iloc[50:50], frame.iloc[50:]]))
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole, check_exact=True)


@pytest.mark.slow
@needs_spark
def test_a_cluster_gives_the_scores_of_one_process(scorer: PartitionScorer, cluster: Any) -> None:
    """Equal to the bit: on every executor the same kernel adds the same leaves in the same order."""
    frame = people()
    given = cluster.createDataFrame(frame.astype(object).where(frame.notna(), None), _schema(frame)).repartition(4)
    (expected,) = scorer(iter([frame]))
    order = ["customer_id", "offer_id"]
    found = given.mapInPandas(scorer, SCHEMA).toPandas().sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(found, expected.sort_values(order, ignore_index=True), check_exact=True)


def _schema(frame: pd.DataFrame) -> str:
    return ", ".join(f"{name} {'double' if values.dtype == float else 'string'}" for name, values in frame.items())


def scored(bank: Bank, folder: str, **how: Any) -> pd.DataFrame:
    done = score_everybody(bank.desk, channel=CHANNEL, **how)
    assert done.n_customers == len(CUSTOMERS)
    found = pd.read_parquet(done.folder / folder)
    assert len(found) == done.n_rows or folder == "facts"
    return found.sort_values(["customer_id", *({"offer_id"} & set(found))], ignore_index=True)


@pytest.mark.parametrize("part_rows", [2, 100])
def test_a_night_scores_everybody_as_a_request_does(bank: Bank, part_rows: int) -> None:
    found = scored(bank, "scores", part_rows=part_rows)
    rules, m = bank.desk.rulebook(), bank.desk.rulebook().catalogue.m
    assert len(found) == len(CUSTOMERS) * m
    for customer_id in CUSTOMERS:
        facts = bank.desk.facts([customer_id], bank.desk.clock.now()).facts
        one = rules.scorer.score_each([plain_of(facts)], [CHANNEL])[0]
        mine = found[found["customer_id"] == customer_id].set_index("offer_id").loc[list(rules.catalogue.offer_ids)]
        assert (mine["p"].tolist(), mine["p_channel"].tolist()) == (one.p, one.p_channel)
        assert mine["p_churn"].unique().tolist() == [one.p_churn]
        assert mine["uplift"].isna().all(), "the home has no uplift champion"


@pytest.mark.slow
@needs_spark
def test_a_night_on_a_cluster_gives_the_scores_of_one_process(bank: Bank, cluster: Any) -> None:
    """The session that is open is joined; its executors read the parts and write the scores by themselves."""
    here = scored(bank, "scores", part_rows=2)
    there = scored(bank, "scores", part_rows=2, engine="spark")
    pd.testing.assert_frame_equal(there, here, check_exact=True)
    assert not cluster.sparkContext._jsc.sc().isStopped(), "who opened it closes it"


def test_an_unknown_engine_is_refused(bank: Bank) -> None:
    with pytest.raises(BadRequest, match="unknown engine: 'abacus'"):
        score_everybody(bank.desk, engine="abacus")
