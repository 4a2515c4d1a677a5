"""Reads tables with one strict reader: read.py expected|pyiceberg|duckdb|spark [jar].

Asked by one JSON fixture per line on its input, it answers by one JSON line each. A table that ends the process gets no answer.
"""
import glob
import json
import os
import re
import shutil
import sys

from canonical import digest


def unquoted_types(condition):
    """pyiceberg takes the type of a literal from the column."""
    return re.sub(r"\b(date|timestamp) '", "'", condition)


def expected_reader():
    """The rows as plain Parquet; filters by DuckDB's Parquet reader, which knows nothing of Iceberg."""
    import duckdb
    import pyarrow.parquet as pq

    connection = duckdb.connect()
    connection.execute("set TimeZone='UTC'")

    def rows(fixture):
        table = pq.read_table(fixture["expected"])
        return table.to_pylist(), table.column_names

    def filtered(fixture, condition):
        return connection.execute(f"select count(*) from read_parquet('{fixture['expected']}') where {condition}").fetchall()[0][0], None, None

    return lambda fixture: (rows, lambda _fixture: None, filtered)


def pyiceberg_reader():
    from pyiceberg.table import StaticTable

    def open_table(fixture):
        table = StaticTable.from_metadata(fixture["metadata"])

        def rows(_fixture):
            arrow = table.scan().to_arrow()
            return arrow.to_pylist(), arrow.column_names

        def filtered(_fixture, condition):
            scan = table.scan(row_filter=unquoted_types(condition))
            narrow = table.scan(row_filter=unquoted_types(condition), selected_fields=("id",))
            return scan.to_arrow().num_rows, narrow.to_arrow().num_rows, len(list(scan.plan_files()))

        return rows, lambda _fixture: table.scan().count(), filtered

    return open_table


def duckdb_reader():
    import duckdb

    connection = duckdb.connect()
    connection.execute("set TimeZone='UTC'")
    folder = os.path.join(os.path.dirname(os.path.dirname(duckdb.__file__)))
    for name in ("avro", "iceberg"):
        path = glob.glob(f"{folder}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension")[0]
        connection.execute(f"load '{path}'")

    def files_read(condition, source):
        """What the profile of the scan says of the files that it opened."""
        plan = connection.execute(f"explain (analyze, format json) select * from {source} where {condition}").fetchall()[0][1]

        def visit(node):
            info = node.get("extra_info", {})
            if "Total Files Read" in info:
                return int(info["Total Files Read"])
            found = [visit(child) for child in node.get("children", [])]
            return next((count for count in found if count is not None), None)

        return visit(json.loads(plan))

    def rows(fixture):
        arrow = connection.execute(f"select * from iceberg_scan('{fixture['metadata']}')").fetch_arrow_table()
        return arrow.to_pylist(), arrow.column_names

    def filtered(fixture, condition):
        source = f"iceberg_scan('{fixture['metadata']}')"
        count = connection.execute(f"select count(*) from {source} where {condition}").fetchall()[0][0]
        found = connection.execute(f"select * from {source} where {condition}").fetch_arrow_table()
        return found.num_rows, count, files_read(condition, source)

    def counted(fixture):
        return connection.execute(f"select count(*) from iceberg_scan('{fixture['metadata']}')").fetchall()[0][0]

    return lambda fixture: (rows, counted, filtered)


def spark_reader(jar):
    from pyspark.sql import SparkSession

    settings = {
        "spark.jars": jar,
        "spark.ui.enabled": "false",
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")

    def planned(frame):
        """Data files that Iceberg's planner gave to the scan that has just run."""
        leaves = frame._jdf.queryExecution().executedPlan().collectLeaves()
        for at in range(leaves.size()):
            metric = leaves.apply(at).metrics().get("resultDataFiles")
            if metric.isDefined():
                return metric.get().value()
        return None

    def open_table(fixture):
        # A folder table: Spark finds the metadata file by its number.
        folder = os.path.join(os.getcwd(), "spark", fixture["name"].replace(" ", "-"))
        os.makedirs(os.path.join(folder, "metadata"), exist_ok=True)
        shutil.copy(fixture["metadata"], os.path.join(folder, "metadata", "v1.metadata.json"))
        with open(os.path.join(folder, "metadata", "version-hint.text"), "w") as file:
            file.write("1")
        frame = session.read.format("iceberg").load(folder)

        def rows(_fixture):
            return [row.asDict(True) for row in frame.collect()], frame.columns

        def filtered(_fixture, condition):
            found = frame.where(condition.replace("timestamp '", "timestamp_ntz '"))
            return len(found.collect()), found.count(), planned(found)

        return rows, lambda _fixture: frame.count(), filtered

    return open_table


def said(error):
    """The last cause tells the most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Caused by:")]
    return f"{type(error).__name__}: {(causes or lines or [''])[-1 if causes else 0][:240]}"


def answer(open_table, fixture):
    found = {"name": fixture["name"]}
    try:
        rows, counted, filtered = open_table(fixture)
        found.update(digest(*rows(fixture)))
        # Counted by what the manifests say, where a reader does that.
        found["count"] = counted(fixture)
    except Exception as error:  # What a reader says of a broken table is the answer.
        found["error"] = said(error)
        return found
    filters = {}
    for name, condition in fixture.get("filters", {}).items():
        try:
            # All columns, and as few as can be: readers take other paths for the two.
            rows, count, files = filtered(fixture, condition)
            filters[name] = {"rows": rows, "count": count, "files": files}
        except Exception as error:
            filters[name] = {"error": said(error)}
    if filters:
        found["filters"] = filters
    return found


def main():
    readers = {"expected": expected_reader, "pyiceberg": pyiceberg_reader, "duckdb": duckdb_reader, "spark": spark_reader}
    open_table = readers[sys.argv[1]](*sys.argv[2:])
    for line in sys.stdin:
        print(json.dumps(answer(open_table, json.loads(line))), flush=True)


main()
