"""A client of the catalogue that goes on in one session: session.py pyiceberg|spark|duckdb URI [jar].

Asked by one JSON question per line on its input, it answers by one JSON line each. `open` names a catalogue for a warehouse and a token, once;
`read` reads the sum of a column of a table through it; `refresh` tells the client to forget what it has of the table.
"""
import glob
import json
import os
import sys
import time


class Pyiceberg:
    def __init__(self, uri):
        self.uri = uri
        self.catalogs = {}
        self.handles = {}

    def open(self, name, warehouse, token, **_):
        from pyiceberg.catalog import load_catalog

        named = {} if warehouse is None else {"warehouse": warehouse}
        self.catalogs[name] = load_catalog(name, type="rest", uri=self.uri, token=token, **named)

    def read(self, name, table, column, handle=None, **_):
        """`handle`: a table that was loaded before, under this name."""
        import pyarrow.compute as pc

        loaded = self.handles.get(handle) or self.catalogs[name].load_table(table)
        if handle is not None:
            self.handles[handle] = loaded
        found = loaded.scan(selected_fields=(column,)).to_arrow()
        return {"sum": pc.sum(found[column]).as_py(), "version": loaded.properties["tidegate.version"]}

    def list(self, name, **_):
        catalog = self.catalogs[name]
        return {"tables": sorted(".".join(table) for space in catalog.list_namespaces() for table in catalog.list_tables(space))}

    def write(self, name, table, **_):
        loaded = self.catalogs[name].load_table(table)
        loaded.append(loaded.scan().to_arrow())
        return {}

    def refresh(self, name, table, handle, **_):
        self.handles[handle].refresh()
        return {}


class Spark:
    def __init__(self, uri, jar):
        from pyspark.sql import SparkSession

        self.uri = uri
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
        self.session = builder.getOrCreate()
        self.session.sparkContext.setLogLevel("OFF")

    def open(self, name, warehouse, token, settings=None, **_):
        """A catalogue is configured once, before its first use, and never again."""
        given = {"": "org.apache.iceberg.spark.SparkCatalog", ".type": "rest", ".uri": self.uri, ".token": token}
        if warehouse is not None:
            given[".warehouse"] = warehouse
        for key, value in {**given, **{f".{key}": value for key, value in (settings or {}).items()}}.items():
            self.session.conf.set(f"spark.sql.catalog.{name}{key}", value)

    def read(self, name, table, column, **_):
        return {"sum": self.session.sql(f"select sum({column}) from {name}.{table}").collect()[0][0]}

    def list(self, name, **_):
        spaces = [row.namespace for row in self.session.sql(f"show namespaces in {name}").collect()]
        return {"tables": sorted(f"{space}.{row.tableName}" for space in spaces for row in self.session.sql(f"show tables in {name}.{space}").collect())}

    def write(self, name, table, **_):
        self.session.sql(f"insert into {name}.{table} select * from {name}.{table}").collect()
        return {}

    def history(self, name, table, **_):
        return {"snapshots": self.session.sql(f"select * from {name}.{table}.snapshots").count()}

    def refresh(self, name, table, **_):
        self.session.sql(f"refresh table {name}.{table}")
        return {}


class DuckDB:
    def __init__(self, uri):
        import duckdb

        self.uri = uri
        self.connection = duckdb.connect()
        folder = os.path.dirname(os.path.dirname(duckdb.__file__))
        for name in ("avro", "httpfs", "iceberg"):
            path = glob.glob(f"{folder}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension")[0]
            self.connection.execute(f"load '{path}'")

    def open(self, name, warehouse, token, **_):
        self.connection.execute(f"create secret {name}_token (type iceberg, token '{token}')")
        self.connection.execute(f"attach '{warehouse or ''}' as {name} (type iceberg, endpoint '{self.uri}', secret {name}_token)")

    def read(self, name, table, column, **_):
        return {"sum": int(self.connection.execute(f"select sum({column}) from {name}.{table}").fetchall()[0][0])}

    def list(self, name, **_):
        rows = self.connection.execute(f"select schema, name from (show all tables) where database = '{name}'").fetchall()
        return {"tables": sorted(".".join(row) for row in rows)}

    def write(self, name, table, **_):
        self.connection.execute(f"insert into {name}.{table} select * from {name}.{table}")
        return {}


def main():
    clients = {"pyiceberg": Pyiceberg, "spark": Spark, "duckdb": DuckDB}
    client = clients[sys.argv[1]](*sys.argv[2:])
    for line in sys.stdin:
        question = json.loads(line)
        began = time.time()
        try:
            found = getattr(client, question.pop("do"))(**question) or {}
        except Exception as error:  # What a client says of a refusal is the answer.
            found = {"error": f"{type(error).__name__}: {error}"[:1500]}
        print(json.dumps({**found, "ms": round((time.time() - began) * 1000)}), flush=True)


main()
