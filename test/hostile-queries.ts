/** One attempt to get out of the sandbox. `{secret}`, `{data}` and `{dir}` stand for a planted file, a dataset's file and their folder. */
export interface HostileQuery {
  sql: string;
  /** Planning it on empty tables is harmless and may succeed. */
  plansWell?: true;
  /** Doors for which it is an ordinary, allowed statement. */
  fine?: readonly Door[];
}

/** `derive`: the SQL of a derived dataset, through all that building it does. `rule where`: the condition of a contract's rule. */
export type Door = "query" | "rewrite" | "where" | "set" | "derive" | "rule where";

const one = (...texts: string[]): HostileQuery[] => texts.map((sql) => ({ sql }));

/** Reading what is not a dataset. */
const reads = one(
  "select content from read_text('/etc/passwd') limit 1",
  "select * from read_text('{secret}')",
  "select * from read_csv('{secret}', sep=':', header=false)",
  "select * from read_blob('{secret}')",
  "select * from read_blob('/proc/self/environ')",
  "select * from read_json('{secret}')",
  "select * from read_ndjson_objects('{secret}')",
  "select * from sniff_csv('{secret}')",
  "select * from glob('{dir}/*')",
  "from '{secret}'",
  'from "{secret}"',
  "from '{dir}/*.csv'",
  "from 'file://{secret}'",
  "from 'http://127.0.0.1:9/x.csv'",
  "from 's3://bucket/x.parquet'",
  "select * from '{data}'",
  "select count(*) from read_parquet('{data}')",
  "select count(*) from parquet_scan('{data}')",
  "select count(*) from read_parquet('{dir}/../{data}')",
  "select * from parquet_metadata('{data}') limit 1",
  "select * from parquet_kv_metadata('{data}')",
  "from read_duckdb('{dir}/x.db')",
  "with x as (from read_text('{secret}')) select * from x",
  'with "{secret}" as (from "{secret}") from "{secret}"',
  'with "{data}" as (from "{data}") from "{data}"',
  "select (select content from read_text('{secret}'))",
  "select * from sales.orders where name in (select content from read_text('{secret}'))",
  "select * from sales.orders o, lateral (select content from read_text('{secret}')) t",
  "select name from sales.orders union all select content from read_text('{secret}')",
  "select list_transform(['{secret}'], lambda x: (select content from read_text(x)))",
  "select * from sales.orders positional join read_text('{secret}')",
  "select * from sales.orders order by (select content from read_text('{secret}'))",
  "select * from sales.orders limit (select length(content) from read_text('{secret}'))",
  "select sum(id) over (order by (select content from read_text('{secret}'))) from sales.orders",
  "from system.main.read_text('{secret}')",
  "select * from \"READ_TEXT\"('{secret}')",
  "select * from query('select * from read_text(''{secret}'')')",
  "select * from query_table('{secret}')",
  "from json_execute_serialized_sql(json_serialize_sql('select * from read_text(''{secret}'')'))",
  "from sql_auto_complete('from ''{dir}/')",
  "describe select * from read_csv('{secret}')",
  "summarize '{secret}'",
  "explain select * from read_text('{secret}')",
  "explain analyze select * from read_text('{secret}')",
  "pivot (from read_text('{secret}')) on filename using count(*)",
  "select * from (pivot (from read_text('{secret}')) on filename in ('a') using count(*))",
  "prepare p as select * from read_text('{secret}')",
);

/** Writing anything anywhere. */
const writes = one(
  "copy (select 1) to '{dir}/evil.csv'",
  "copy (select 1 as id) to '{data}' (format parquet, use_tmp_file false)",
  "copy sales.orders to '{data}' (format csv, use_tmp_file false)",
  "copy (select 1) to '/dev/stdout'",
  "copy sales.orders to stdout",
  "copy sales.orders from '{secret}'",
  "attach '{dir}/evil.db'",
  "attach ':memory:' as foo",
  "export database '{dir}/evil'",
  "import database '/etc'",
  "copy from database memory to foo",
  "call enable_logging(storage='file', storage_path='{dir}/evil.log')",
  "from enable_logging(storage := 'file', storage_path := '{dir}/evil.log')",
  "select write_log('x')",
  "pragma enable_profiling='json'",
  "pragma profile_output='{dir}/evil.json'",
  "explain (format json) copy (select 1) to '{dir}/evil.csv'",
  "checkpoint",
  "from force_checkpoint()",
  "insert into sales.orders by name select 1 as id returning (copy (select 1) to '{dir}/evil.csv')",
);

/** Changing the engine, or asking it about itself. */
const engine = one(
  "set enable_external_access=true",
  "set allowed_directories=['/']",
  "set memory_limit='100GB'",
  "set threads=64",
  "set temp_directory='{dir}/evil'",
  "set home_directory='/etc'",
  "set custom_user_agent='x'",
  "reset lock_configuration",
  "set variable x = 1",
  "use sales",
  "install httpfs",
  "load '{dir}/x.duckdb_extension'",
  "update extensions",
  "create secret s (type s3, key_id 'x', secret 'y')",
  "create table junk as select range from range(1000)",
  "create or replace macro main.sum(x) as 1",
  "create view v as select 1",
  "create sequence s",
  "drop table sales.orders",
  "drop schema sales cascade",
  "alter table sales.orders rename to gone",
  "begin",
  "vacuum",
  "execute p",
  "select getenv('HOME')",
  "select current_setting('temp_directory')",
  "select \"current_setting\"('allowed_paths')",
  "select system.main.current_setting('allowed_paths')",
  "select 'allowed_paths'.current_setting()",
  "select U&\"\\0063urrent_setting\"('allowed_paths')",
  "select getvariable('x')",
  "select nextval('s')",
  "select current_query()",
  "select sql from duckdb_views() where not internal",
  "select * from duckdb_settings() where name = 'allowed_paths'",
  "select * from duckdb_logs limit 1",
  "select * from duckdb_temporary_files()",
  "select * from duckdb_external_file_cache()",
  "select * from duckdb_secrets()",
  "select * from information_schema.tables",
  "select * from pg_catalog.pg_views",
  "select * from sqlite_master",
  "select * from pragma_table_info('sales.orders')",
  "select * from pragma_storage_info('sales.orders')",
  "call pragma_database_size()",
  "pragma database_list",
  "show all tables",
  "show tables",
  "from which_secret('s3://x', 's3')",
  "from arrow_scan(1, 2, 3)",
  "from seq_scan('sales.orders')",
  "from test_all_types()",
  "select 1; drop table sales.orders",
  "select 1 /* ; */ ; select 2",
  "select $1",
  "",
  ";",
  "-- nothing",
);

/** Statements that change data, pointed at what is not the target, or fed from outside. */
const changes = one(
  "insert into sales.orders select 1, content, 1 from read_text('{secret}')",
  "insert into sales.orders (name) from '{secret}'",
  "insert into sales.orders (name) select filename from read_blob('{dir}/*')",
  "insert into sales.orders (name) select value from duckdb_settings()",
  "insert into sales.orders (name) select current_setting('allowed_paths')",
  "insert into sales.orders (name) values (\"current_setting\"('allowed_paths'))",
  "update sales.orders set name = (select content from read_text('{secret}'))",
  "update sales.orders set name = t.content from read_text('{secret}') t",
  "delete from sales.orders using read_text('{secret}') t where t.content = name",
  "delete from sales.orders where exists (from '{secret}')",
  "merge into sales.orders using read_csv('{secret}') s on false when not matched then insert (name) values ('x')",
  "merge into sales.orders o using '{data}' s on o.id = s.id when matched then delete",
  "insert into sales.items select * from sales.orders",
  "update sales.items set name = 'x'",
  "delete from sales.items",
  "truncate sales.items",
  "merge into sales.items i using sales.orders o on i.id = o.id when matched then delete",
  "insert into information_schema.tables values (1)",
  "with x as (delete from sales.orders returning *) select * from x",
  "insert into '{data}' values (1, 'x', 1)",
);

/** Harmless through one door, where they compute nothing but themselves. */
const bounded: HostileQuery[] = [
  // What `query` is given is bound in place, so its plan is judged with the rest; a SELECT's tree refuses it outright.
  { sql: "insert into sales.orders (name) select * from query('select 1')", fine: ["rewrite"] },
  { sql: "insert into sales.orders (name) select content from query('from read_text(''{secret}'')')" },
];

/** Expressions that try to become statements; hostile in `--set` and `--where`, broken SQL elsewhere. */
const expressions = one(
  "1) from sales.orders where (1=1",
  "1), (2",
  "1) union select (2",
  "1) as a, (select 2",
  "1=1) returning (id",
  "1=1); drop table sales.orders; select (1",
  "1=1) limit (1",
  "1) -- ",
  "*",
  "columns(*)",
  "?",
  "exists (select 1 from read_text('{secret}'))",
  "(select content from read_text('{secret}'))",
  "(select value from duckdb_settings() limit 1)",
  "current_setting('allowed_paths')",
);

/** Eating the machine. */
const greedy: HostileQuery[] = [
  "select count(*) from range(30000000) a, range(100000) b group by a.range, b.range",
  "select list(md5(range::varchar)) from range(200000000)",
  "select length(repeat('x', 4000000000)) + length(repeat('y', 4000000000))",
  "select unnest(range(1000000000))",
  "with recursive t as (select 1 as x union all select x + 1 from t) select count(*) from t",
  "select sleep_ms(3600000)",
  `select ${"(".repeat(20_000)}1${")".repeat(20_000)}`,
  // In EXISTS the engine need not compute what it selects.
].map((sql) => ({ sql, plansWell: true, fine: ["where"] }));

export const hostileQueries: readonly HostileQuery[] = [...reads, ...writes, ...engine, ...changes, ...bounded, ...expressions, ...greedy];
