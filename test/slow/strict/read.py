"""Reads fixtures with one strict reader: read.py expected|pyiceberg|duckdb|spark fixtures.json. Prints one JSON line per fixture."""
import glob
import json
import os
import shutil
import sys

from canonical import digest


def expected(fixture):
    import pyarrow.parquet as pq

    table = pq.read_table(fixture["expected"])
    return digest(table.to_pylist(), table.column_names)


def pyiceberg(fixture):
    from pyiceberg.table import StaticTable

    table = StaticTable.from_metadata(fixture["metadata"])
    arrow = table.scan().to_arrow()
    found = digest(arrow.to_pylist(), arrow.column_names)
    if "filter" in fixture:
        scan = table.scan(row_filter=fixture["filter"])
        found["planned"] = len(list(scan.plan_files()))
        found["filtered"] = scan.to_arrow().num_rows
    return found


def duckdb_reader():
    import duckdb

    connection = duckdb.connect()
    connection.execute("set TimeZone='UTC'")
    folder = os.path.join(os.path.dirname(os.path.dirname(duckdb.__file__)))
    for name in ("avro", "iceberg"):
        path = glob.glob(f"{folder}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension")[0]
        connection.execute(f"load '{path}'")

    def read(fixture):
        source = f"iceberg_scan('{fixture['metadata']}')"
        arrow = connection.execute(f"select * from {source}").fetch_arrow_table()
        found = digest(arrow.to_pylist(), arrow.column_names)
        if "filter" in fixture:
            found["filtered"] = connection.execute(f"select count(*) from {source} where {fixture['filter']}").fetchall()[0][0]
        return found

    return read


def spark_reader(jar):
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.jars", jar).config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "1g").config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    builder = builder.config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", "2")
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")

    def read(fixture):
        # A folder table: Spark finds the metadata file by its number.
        folder = os.path.join(os.getcwd(), "spark", fixture["name"])
        os.makedirs(os.path.join(folder, "metadata"), exist_ok=True)
        shutil.copy(fixture["metadata"], os.path.join(folder, "metadata", "v1.metadata.json"))
        with open(os.path.join(folder, "metadata", "version-hint.text"), "w") as file:
            file.write("1")
        frame = session.read.format("iceberg").load(folder)
        found = digest([row.asDict(True) for row in frame.collect()], frame.columns)
        if "filter" in fixture:
            found["filtered"] = frame.where(fixture["filter"]).count()
        return found

    return read


def main():
    reader, path = sys.argv[1], sys.argv[2]
    with open(path) as file:
        fixtures = json.load(file)
    read = {"expected": lambda: expected, "pyiceberg": lambda: pyiceberg, "duckdb": duckdb_reader, "spark": lambda: spark_reader(sys.argv[3])}[reader]()
    for fixture in fixtures:
        if reader in fixture.get("without", []):
            continue
        try:
            found = read(fixture)
        except Exception as error:  # What a reader says of a broken table is part of the answer.
            found = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        print(json.dumps({"name": fixture["name"], **found}), flush=True)


main()
