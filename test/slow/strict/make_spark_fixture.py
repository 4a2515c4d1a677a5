"""Writes the fixture test/fixtures/spark: make_spark_fixture.py <iceberg runtime jar> <output folder>.

Two format v2 tables as Spark writes them, with position deletes: `keyed` (a key, deletes per file, rows that come back after their
deletion) and `parts` (partitions with null and non-ASCII values, deletes per partition, an evolved spec, manifests written anew). Beside
them stands expected.json: the rows of every snapshot as Spark itself reads them. Paths inside are absolute; tests relocate them on load.
"""
import json
import os
import shutil
import sys
import tempfile

from pyspark.sql import SparkSession

jar, output = sys.argv[1], os.path.abspath(sys.argv[2])
warehouse = tempfile.mkdtemp(prefix="spark-fixture-")
settings = {
    "spark.jars": jar,
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.lake.type": "hadoop",
    "spark.sql.catalog.lake.warehouse": f"file://{warehouse}",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "1",
    "spark.ui.enabled": "false",
    "spark.driver.memory": "1g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
builder = SparkSession.builder.master("local[1]")
for name, value in settings.items():
    builder = builder.config(name, value)
session = builder.getOrCreate()
session.sparkContext.setLogLevel("ERROR")

merge_on_read = """tblproperties ('format-version' = '2', 'write.delete.mode' = 'merge-on-read', 'write.update.mode' = 'merge-on-read',
  'write.merge.mode' = 'merge-on-read', 'write.delete.granularity' = '{granularity}')"""

statements = [
    "create table lake.db.keyed (id bigint not null, name string, amount decimal(10,2), seen timestamp_ntz) using iceberg "
    + merge_on_read.format(granularity="file"),
    "alter table lake.db.keyed set identifier fields id",
    """insert into lake.db.keyed select /*+ repartition(2) */ id, concat('ünï-', id), id * 1.25,
       timestamp_ntz'2026-01-01 00:00:00.000001' + make_dt_interval(0, 0, 0, id) from range(100)""",
    "delete from lake.db.keyed where id between 10 and 19",
    "delete from lake.db.keyed where id = 50",
    "insert into lake.db.keyed select id, 'back', -1.00, null from range(10, 15)",
    "update lake.db.keyed set amount = 0 where id = 60",
    "alter table lake.db.keyed rename column name to label",
    "alter table lake.db.keyed alter column amount type decimal(12,2)",
    "insert into lake.db.keyed select id, null, 10000000000 / 4, null from range(100, 103)",
    "create table lake.db.parts (id int, country string, seen timestamp, qty int) using iceberg partitioned by (country) "
    + merge_on_read.format(granularity="partition"),
    """insert into lake.db.parts select /*+ repartition(1) */ cast(id as int), case id % 4 when 0 then 'Österreich/Tirol' when 1 then '日本 100%' when 2 then null else 'plain' end,
       timestamp'2026-03-01 12:00:00' + make_dt_interval(cast(id % 3 as int)), cast(id % 7 as int) from range(60)""",
    "delete from lake.db.parts where id in (0, 4, 21, 22, 33)",
    "alter table lake.db.parts add partition field days(seen)",
    "insert into lake.db.parts values (100, 'plain', timestamp'2026-04-01 00:00:00', 1), (101, null, null, null)",
    "insert overwrite lake.db.parts select 200, 'plain', timestamp'2026-04-01 23:59:59.999999', 9",
    "delete from lake.db.parts where qty = 3",
    "alter table lake.db.parts alter column qty type bigint",
    "call lake.system.rewrite_manifests(table => 'db.parts', use_caching => false)",
]
# Only the partitions that an overwrite names are replaced.
session.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
for statement in statements:
    session.sql(statement)


def cell(value):
    if value is None or isinstance(value, (int, str, bool)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def rows(source, names):
    found = source.orderBy("id", names[1]).collect()
    return [[cell(row[name]) for name in names] for row in found]


shutil.rmtree(output, ignore_errors=True)
os.makedirs(output)
expected = {"root": warehouse, "tables": {}}
for table in ("keyed", "parts"):
    folder = os.path.join(warehouse, "db", table)
    last = open(os.path.join(folder, "metadata", "version-hint.text")).read().strip()
    frame = session.table(f"lake.db.{table}")
    snapshots = [str(row[0]) for row in session.sql(f"select snapshot_id from lake.db.{table}.snapshots order by committed_at").collect()]
    history = {}
    for snapshot in snapshots:
        at = session.sql(f"select * from lake.db.{table} version as of {snapshot}")
        history[snapshot] = rows(at, at.columns)
    expected["tables"][table] = {
        "metadata": f"db/{table}/metadata/v{last}.metadata.json",
        "columns": frame.columns,
        "rows": rows(frame, frame.columns),
        "snapshots": history,
    }
    for part in ("data", "metadata"):
        for base, _folders, files in os.walk(os.path.join(folder, part)):
            for name in files:
                if name.endswith(".crc") or (name.endswith(".json") and name != f"v{last}.metadata.json") or name.endswith(".text"):
                    continue
                target = os.path.join(output, os.path.relpath(os.path.join(base, name), warehouse))
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy(os.path.join(base, name), target)
with open(os.path.join(output, "expected.json"), "w", encoding="utf-8") as file:
    json.dump(expected, file, ensure_ascii=False, separators=(",", ":"))
session.stop()
shutil.rmtree(warehouse)
