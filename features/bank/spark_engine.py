"""Spark behind a bank: the same expressions on two threads of this machine, or on a cluster that is joined.

A program that has opened a Spark session already keeps it: the bank works in a session beside it, with views of its
own, on the same cluster. Elsewhere a local one is started on the loopback address and stopped at the end. Either way
the zone is UTC and arithmetic is ANSI. Files are those of the home, which every executor must reach by the same path.

Needs the extra `spark` and a Java 17 runtime; the base install has neither.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from features.bank.statements import typed
from features.bank.whole_files import whole
from features.errors import NotReady

INSTALL = "run `make spark`, and install a Java 17 runtime (Debian: apt-get install openjdk-17-jre-headless)"
_LOCAL = {
    "spark.master": "local[2]",
    "spark.app.name": "tiercel",
    "spark.driver.memory": "2g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "4",
}
_MEANING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
_ERRORS_ALONE = """
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = spark: %p %c{1}: %m%n
"""


class MissingSpark(NotReady):
    """Spark was asked for and cannot be started here."""

    slug = "missing-spark"


class Spark:
    """One Spark session; see `features.bank.engines.Engine`. Raises MissingSpark."""

    name = "spark"

    def __init__(self) -> None:
        try:
            from pyspark.errors import PySparkRuntimeError
            from pyspark.sql import SparkSession
        except ImportError as error:
            raise MissingSpark("Spark is not installed", todo=INSTALL) from error
        self._scratch = TemporaryDirectory(prefix="tiercel-spark-", ignore_cleanup_errors=True)
        joined = SparkSession.getActiveSession()
        self._is_ours = joined is None
        try:
            self._session = joined.newSession() if joined else _started(SparkSession.builder, Path(self._scratch.name))
        except PySparkRuntimeError as error:
            self._scratch.cleanup()
            raise MissingSpark("Spark found no Java to run on", todo=INSTALL) from error
        for setting, value in _MEANING.items():
            self._session.conf.set(setting, value)
        self.con: Any = ibis.pyspark.connect(self._session)

    def statement(self, expr: ir.Table) -> str:
        return typed(self.con, expr, "`")

    def keep(self, name: str, sql: str) -> ir.Table:
        self._session.sql(sql).localCheckpoint(eager=True).createOrReplaceTempView(name)
        return self.con.table(name)

    def view(self, name: str, sql: str) -> None:
        self._session.sql(f"CREATE OR REPLACE TEMPORARY VIEW `{name}` AS {sql}")

    def register(self, name: str, rows: pa.Table) -> ir.Table:
        self._session.createDataFrame(rows).createOrReplaceTempView(name)
        return self.con.table(name)

    def read(self, files: Sequence[Path], name: str) -> None:
        rows = self._session.read.option("mergeSchema", len(files) > 1).parquet(*map(_place, files))
        rows.createOrReplaceTempView(name)

    def write(self, sql: str, path: Path) -> None:
        """Executors write parts in the order of the rows; they are then laid end to end in one file."""
        with whole(path) as half:
            parts = half.with_suffix(".parts")
            self._session.sql(sql).write.mode("overwrite").parquet(_place(parts))
            _lay_end_to_end(sorted(parts.glob("part-*.parquet")), half)
            shutil.rmtree(parts)

    def map_files(self, files: Sequence[Path], function: Any, schema: str, folder: Path) -> None:
        """Each partition of the Parquet `files` through `function`, frames in and frames out, as files in `folder`."""
        if self._is_ours:
            self._session.sparkContext.pythonExec = sys.executable  # workers that run this very installation
        rows = self._session.read.parquet(*map(_place, files))
        rows.mapInPandas(function, schema).write.mode("overwrite").parquet(_place(folder))

    def close(self) -> None:
        if self._is_ours:
            self._session.stop()
        self._scratch.cleanup()


def _started(builder: Any, scratch: Path) -> Any:
    """A local session whose blocks and settings stand in `scratch`."""
    logging = scratch / "log4j2.properties"
    logging.write_text(_ERRORS_ALONE)
    places = {
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging.as_uri()}",
    }
    for setting, value in (_LOCAL | places).items():
        builder = builder.config(setting, value)
    return builder.getOrCreate()


def _place(path: Path) -> str:
    """The path for Spark, whose own default may be another file system."""
    return f"file:{path.resolve()}"


def _lay_end_to_end(files: Sequence[Path], path: Path) -> None:
    schema = pq.read_schema(files[0]).remove_metadata()
    with pq.ParquetWriter(path, schema) as out:
        for file in files:
            for batch in pq.ParquetFile(file).iter_batches():
                out.write_batch(batch.replace_schema_metadata())
