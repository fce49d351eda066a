"""What consumers' SQL may try, by kind: `{place}` has files that nobody may read, `vault` is a closed product."""
# ruff: noqa: RUF001 (letters that look like others are tried, too)

from __future__ import annotations

# Every one of these is refused, and its refusal tells nothing.
REFUSED = {
    "another product": """
        SELECT * FROM vault.secrets
        SELECT * FROM mesh.vault.secrets
        SELECT * FROM "VAULT"."Secrets"
        SELECT * FROM "vault"."secrets" AS orders
        SELECT * FROM vault . secrets
        SELECT * FROM vault/**/./* shop */secrets
        SELECT * FROM mesh."vault" . "SECRETS" shop
        SELECT * FROM vault.secrets AT (VERSION => 1)
        SELECT * FROM vault.secrets TABLESAMPLE 100%
        SELECT * FROM vault.secrets USING SAMPLE 1 ROWS
        SELECT (SELECT max(text) FROM vault.secrets)
        SELECT * FROM shop.orders WHERE id IN (SELECT id FROM vault.secrets)
        SELECT * FROM shop.orders WHERE EXISTS (FROM vault.secrets)
        SELECT * FROM shop.orders WHERE text = ANY (SELECT text FROM vault.secrets)
        SELECT * FROM shop.orders WHERE text > ALL (FROM vault.secrets SELECT text)
        SELECT * FROM shop.orders o, LATERAL (SELECT text FROM vault.secrets s WHERE s.id = o.id)
        SELECT * FROM shop.orders UNION ALL SELECT * FROM vault.secrets
        FROM shop.orders UNION ALL BY NAME FROM vault.secrets SELECT text
        SELECT id FROM shop.orders EXCEPT SELECT id FROM vault.secrets
        SELECT id FROM shop.orders INTERSECT SELECT id FROM vault.secrets
        SELECT * FROM shop.orders, vault.secrets
        SELECT * FROM shop.orders NATURAL JOIN vault.secrets
        SELECT * FROM shop.orders ASOF JOIN vault.secrets USING (id)
        SELECT * FROM shop.orders POSITIONAL JOIN vault.secrets
        SELECT * FROM shop.orders SEMI JOIN vault.secrets USING (id)
        SELECT * FROM shop.orders ANTI JOIN vault.secrets USING (id)
        SELECT * FROM shop.orders o JOIN shop.orders p ON o.id = (SELECT max(id) FROM vault.secrets)
        TABLE vault.secrets
        (TABLE vault.secrets)
        FROM vault.secrets
        ((FROM vault.secrets))
        FROM (FROM (FROM vault.secrets))
        FROM (TABLE vault.secrets)
        VALUES ((SELECT max(text) FROM vault.secrets))
        SELECT * FROM (VALUES ((SELECT max(text) FROM vault.secrets)))
        SUMMARIZE vault.secrets
        SUMMARIZE FROM vault.secrets
        SUMMARIZE SELECT * FROM vault.secrets
        SHOW vault.secrets
        DESCRIBE SELECT text FROM vault.secrets WHERE id = 1
        SELECT * FROM (DESCRIBE SELECT max(text) FROM vault.secrets)
        SELECT * FROM (SUMMARIZE vault.secrets)
        EXPLAIN SELECT * FROM vault.secrets
        EXPLAIN FROM vault.secrets
        EXPLAIN SUMMARIZE vault.secrets
        EXPLAIN ANALYZE SELECT * FROM vault.secrets
        SELECT * FROM (PIVOT vault.secrets ON id IN (1) USING max(text))
        PIVOT vault.secrets ON id USING max(text)
        PIVOT vault.secrets ON id IN (1) USING max(text)
        PIVOT shop.orders ON id IN (SELECT id FROM vault.secrets) USING max(text)
        SELECT * FROM (PIVOT_WIDER vault.secrets ON id USING max(text))
        UNPIVOT vault.secrets ON text INTO NAME n VALUE v
        UNPIVOT vault.secrets ON *
        SELECT * FROM (UNPIVOT vault.secrets ON text)
        SELECT list_transform([1], lambda x: (SELECT max(text) FROM vault.secrets))
        SELECT [x FOR x IN (SELECT list(text) FROM vault.secrets)]
        SELECT ARRAY(SELECT text FROM vault.secrets)
        SELECT {'a': (SELECT max(text) FROM vault.secrets)}.a
        SELECT MAP {1: (FROM vault.secrets SELECT max(text))}
        SELECT * FROM range((SELECT count(*) FROM vault.secrets))
        SELECT * FROM unnest((SELECT list(text) FROM vault.secrets))
        SELECT count(*) FILTER (WHERE text IN (SELECT text FROM vault.secrets)) FROM shop.orders
        SELECT max(text) OVER (ORDER BY (SELECT max(id) FROM vault.secrets)) FROM shop.orders
        SELECT count(*) OVER w FROM shop.orders WINDOW w AS (PARTITION BY (SELECT max(text) FROM vault.secrets))
        SELECT text FROM shop.orders GROUP BY ALL HAVING (SELECT true FROM vault.secrets)
        SELECT text FROM shop.orders QUALIFY (SELECT true FROM vault.secrets)
        SELECT DISTINCT ON ((SELECT max(id) FROM vault.secrets)) id FROM shop.orders
        SELECT * FROM shop.orders ORDER BY (SELECT max(text) FROM vault.secrets)
        SELECT * FROM shop.orders LIMIT (SELECT count(*) FROM vault.secrets)
        SELECT * FROM shop.orders LIMIT 1 OFFSET (SELECT count(*) FROM vault.secrets)
        SELECT COLUMNS(lambda c: c IN (SELECT text FROM vault.secrets)) FROM shop.orders
        FROM shop.orders SELECT * REPLACE ((SELECT max(text) FROM vault.secrets) AS text)
    """,
    "another spelling": r"""
        SELECT * FROM U&"\0076ault".secrets
        SELECT * FROM U&"v\0061ult"."secrets"
        SELECT * FROM ONLY vault.secrets
        SELECT * FROM "vault.secrets"
        SELECT * FROM 'vault.secrets'
        SELECT * FROM ['vault.secrets']
        SELECT * FROM mesh."vault.secrets"
        SELECT * FROM mesh.main.secrets
        SELECT * FROM memory.vault.secrets
        SELECT * FROM system.vault.secrets
        SELECT * FROM vault.main.secrets
        SELECT * FROM mesh.mesh.vault.secrets
        SELECT * FROM ｖａｕｌｔ.secrets
        SELECT * FROM vаult.secrets
        SELECT * FROM IDENTIFIER('vault.secrets')
        SELECT * FROM VARIADIC vault.secrets
        SELECT * FROM getvariable('vault.secrets')
        SELECT vault.secrets.text FROM shop.orders
        SELECT mesh.vault.secrets.text FROM shop.orders
        SELECT (vault.secrets).text FROM shop.orders
        SELECT secrets.text FROM shop.orders AS vault
        SELECT vault.secrets FROM shop.orders
        SELECT COLUMNS(vault.secrets.*) FROM shop.orders
        SELECT vault.secrets.* FROM shop.orders
        SELECT 'vault.secrets'.text FROM shop.orders
        SET search_path = 'vault'
        SET schema = 'vault'
        USE vault
        USE mesh.vault
    """,
    "common table expressions": """
        WITH w AS (SELECT * FROM vault.secrets) SELECT * FROM w
        WITH w AS MATERIALIZED (TABLE vault.secrets) FROM w
        WITH w(a) AS (SELECT 1), v AS (FROM vault.secrets) SELECT a FROM w
        WITH RECURSIVE w AS (SELECT text FROM vault.secrets UNION ALL SELECT text FROM w) SELECT * FROM w LIMIT 1
        WITH RECURSIVE w(a) USING KEY (a) AS (SELECT 1 UNION SELECT id FROM vault.secrets) FROM w
        WITH vault AS (SELECT 1) SELECT * FROM vault.secrets
        WITH secrets AS (SELECT 1) SELECT * FROM vault.secrets
        WITH "vault.secrets" AS (SELECT 1 AS x) SELECT * FROM "vault.secrets"
        WITH sqlite_master AS (SELECT 1) SELECT * FROM sqlite_master
        SELECT * FROM (WITH pg_settings AS (SELECT 1) SELECT 1) a, pg_settings
        SELECT * FROM (WITH pg_class AS (SELECT 1) SELECT 1) a, pg_class
        SELECT * FROM (WITH "/etc/passwd.csv" AS (SELECT 1) SELECT 1) a, "/etc/passwd.csv"
        SELECT * FROM (WITH "x.parquet" AS (SELECT 1) SELECT 1) a, "x.parquet"
        SELECT * FROM sqlite_master, (WITH sqlite_master AS (SELECT 1) SELECT * FROM sqlite_master) x
        WITH "{place}/secret.csv" AS (SELECT 1) SELECT * FROM main."{place}/secret.csv"
        SELECT * FROM w, (WITH w AS (SELECT 1) SELECT * FROM w) x, "{place}/closed.parquet"
        WITH w AS (INSERT INTO shop.orders VALUES (3, 'c') RETURNING *) SELECT * FROM w
        WITH w AS (DELETE FROM shop.orders RETURNING *) SELECT * FROM w
        WITH w AS (COPY shop.orders TO '{place}/out.csv') SELECT * FROM w
    """,
    "SQL in texts": """
        SELECT * FROM query('SELECT * FROM vault.secrets')
        SELECT * FROM "query"('SELECT * FROM vault' || '.secrets')
        SELECT * FROM system.main.query('SELECT * FROM vault.secrets')
        SELECT query('SELECT 1')
        SELECT * FROM query_table('vault.secrets')
        SELECT * FROM query_table(['shop.orders', 'vault.secrets'])
        SELECT * FROM mesh.main.query_table('vault.secrets')
        SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM vault.secrets'))
        SELECT json_serialize_plan('SELECT * FROM shop.orders')
        SELECT json_deserialize_sql('{}')
        PREPARE x AS SELECT * FROM vault.secrets
        EXECUTE x
        EXECUTE x(1)
        EXECUTE IMMEDIATE 'SELECT * FROM vault.secrets'
        DEALLOCATE x
        SELECT * FROM shop.orders WHERE id = $1
        SELECT ?
        SELECT $name
    """,
    "many statements": """
        SELECT 1; SELECT * FROM vault.secrets
        SELECT 1; COPY shop.orders TO '{place}/out.csv'
        SELECT 1 /* ; */ ; TABLE vault.secrets
        SELECT $$ ; $$ ; TABLE vault.secrets
        SELECT $a$ $$ ; $a$ ; TABLE vault.secrets
        ;;SELECT * FROM vault.secrets
        SELECT ';' ; SET memory_limit = '100GB'
        EXPLAIN SELECT 1; TABLE vault.secrets
        EXPLAIN EXPLAIN SELECT 1
        BEGIN
        BEGIN; SELECT 1
        COMMIT
        ROLLBACK
        SELECT 1; ROLLBACK
    """,
    "files": """
        SELECT * FROM '{place}/secret.csv'
        SELECT * FROM "{place}/secret.csv"
        SELECT * FROM "{place}"."secret.csv"
        SELECT * FROM '{place}/*.csv'
        SELECT * FROM '{place}/closed.parquet'
        SELECT * FROM '{place}/open.parquet'
        SELECT * FROM 'file://{place}/secret.csv'
        SELECT * FROM '/dev/stdin'
        SELECT * FROM '/proc/self/fd/0'
        SELECT * FROM '../secret.csv'
        SELECT * FROM read_csv('{place}/secret.csv')
        SELECT * FROM read_csv('/dev/stdin')
        SELECT * FROM read_csv_auto('{place}/secret.csv')
        SELECT * FROM READ_CSV(['{place}/secret.csv'])
        SELECT * FROM "read_csv"('{place}/secret.csv')
        SELECT * FROM system.main.read_csv('{place}/secret.csv')
        SELECT * FROM read_single_csv_file('{place}/secret.csv')
        SELECT * FROM sniff_csv('{place}/secret.csv')
        SELECT * FROM read_text('{place}/secret.csv')
        SELECT * FROM read_blob('{place}/secret.csv')
        SELECT * FROM read_json('{place}/secret.csv')
        SELECT * FROM read_json_auto('{place}/secret.csv')
        SELECT * FROM read_json_objects('{place}/secret.csv')
        SELECT * FROM read_ndjson('{place}/secret.csv')
        SELECT * FROM read_ndjson_objects('{place}/secret.csv')
        SELECT * FROM read_xlsx('{place}/secret.csv')
        SELECT * FROM st_read('{place}/secret.csv')
        SELECT * FROM read_duckdb('{place}/x.db')
        SELECT * FROM sqlite_scan('{place}/x.db', 't')
        SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 't')
        SELECT * FROM iceberg_scan('{place}')
        SELECT * FROM delta_scan('{place}')
        SELECT * FROM glob('{place}/*')
        SELECT * FROM glob('/proc/self/fd/*')
        SELECT * FROM read_text('/proc/self/environ')
        SELECT * FROM read_text('/proc/self/cmdline')
        SELECT * FROM read_text('/proc/self/mountinfo')
        SELECT * FROM read_blob('/proc/self/mem')
        COPY (SELECT * FROM shop.orders) TO '{place}/out.csv'
        COPY (SELECT * FROM shop.orders) TO '{place}/out.parquet' (FORMAT parquet)
        COPY (SELECT * FROM shop.orders) TO '{place}/out' (PARTITION_BY id)
        COPY shop.orders TO '{place}/open.parquet'
        COPY shop.orders TO '/dev/stdout'
        COPY shop.orders FROM '{place}/secret.csv'
        COPY FROM DATABASE mesh TO memory
        EXPLAIN COPY shop.orders TO '{place}/out.csv'
        EXPLAIN ANALYZE COPY shop.orders TO '{place}/out.csv'
        EXPORT DATABASE '{place}/out'
        IMPORT DATABASE '{place}/out'
        ATTACH '{place}/x.db' AS x
        ATTACH '{place}/x.db' AS x (READ_ONLY)
        ATTACH ':memory:' AS x
        ATTACH IF NOT EXISTS '{place}/x.db'
        DETACH mesh
    """,
    "Parquet functions": """
        SELECT * FROM read_parquet('{place}/closed.parquet')
        SELECT * FROM parquet_scan('{place}/closed.parquet')
        SELECT * FROM parquet_scan(['/proc/self/fd/4'])
        SELECT * FROM parquet_metadata('{place}/closed.parquet')
        SELECT * FROM parquet_file_metadata('{place}/closed.parquet')
        SELECT * FROM parquet_schema('{place}/closed.parquet')
        SELECT * FROM parquet_full_metadata('{place}/closed.parquet')
        SELECT * FROM parquet_bloom_probe('{place}/closed.parquet', 'text', 'x')
        SELECT * FROM parquet_kv_metadata('/proc/self/fd/4')
        PRAGMA add_parquet_key('k', '0123456789112345')
        CALL add_parquet_key('k', '0123456789112345')
    """,
    "network": """
        SELECT * FROM read_csv('https://127.0.0.1/x.csv')
        SELECT * FROM read_parquet('http://169.254.169.254/latest/meta-data')
        SELECT * FROM read_text('http://[::1]:1/')
        SELECT * FROM 's3://bucket/x.parquet'
        SELECT * FROM 'gcs://bucket/x.parquet'
        SELECT * FROM 'hf://datasets/x/y.parquet'
        SELECT * FROM 'http://127.0.0.1:1/x.csv'
        SELECT * FROM http_get('http://127.0.0.1:1/')
        SELECT http_get('http://127.0.0.1:1/')
        ATTACH 'http://127.0.0.1:1/x.db' AS x
        ATTACH 'host=127.0.0.1' AS x (TYPE postgres)
        COPY shop.orders TO 's3://bucket/out.parquet'
        CREATE SECRET s (TYPE s3)
        DROP SECRET s
        SELECT * FROM which_secret('x', 's3')
    """,
    "settings": """
        SET memory_limit = '100GB'
        SET threads = 64
        SET enable_external_access = true
        SET lock_configuration = false
        SET allowed_paths = ['/']
        SET allowed_directories = ['/']
        SET python_enable_replacements = true
        SET python_scan_all_frames = true
        SET temp_directory = '{place}'
        SET max_expression_depth = 1000000
        SET allow_unsigned_extensions = true
        SET home_directory = '{place}'
        SET log_query_path = '{place}/log'
        SET enable_profiling = 'json'
        SET profiling_output = '{place}/profile'
        SET GLOBAL memory_limit = '100GB'
        SET SESSION memory_limit = '100GB'
        SET LOCAL memory_limit = '100GB'
        SET VARIABLE x = 1
        RESET memory_limit
        RESET lock_configuration
        PRAGMA memory_limit = '100GB'
        PRAGMA database_list
        PRAGMA version
        PRAGMA enable_profiling
        PRAGMA disable_optimizer
        CALL pragma_version()
        CALL duckdb_settings()
        CALL enable_logging('QueryLog')
        CALL disable_logging()
        CHECKPOINT
        FORCE CHECKPOINT
        VACUUM
        ANALYZE
        SELECT * FROM enable_logging()
        SELECT * FROM force_checkpoint()
    """,
    "extensions": """
        INSTALL httpfs
        LOAD httpfs
        LOAD '{place}/x.duckdb_extension'
        FORCE INSTALL json
        INSTALL x FROM community
        INSTALL x FROM 'http://127.0.0.1:1'
        UPDATE EXTENSIONS
    """,
    "the session": """
        SELECT getenv('HOME')
        SELECT current_setting('allowed_paths')
        SELECT system.main.current_setting('allowed_paths')
        SELECT 'allowed_paths'.current_setting()
        SELECT getvariable('x')
        SELECT set_config('threads', '64', false)
        SELECT write_log('x')
        SELECT current_query()
        SELECT pg_get_viewdef(1)
        SELECT pg_read_file('/etc/passwd')
        SELECT pg_sleep(100)
        SELECT in_search_path('mesh', 'vault')
        SELECT has_table_privilege('vault.secrets', 'select')
        SELECT obj_description(1)
        SELECT nextval('s')
        SELECT list_transform(['allowed_paths'], lambda x: current_setting(x))
        SELECT list_aggregate(['x'], 'finalize')
        SELECT x FROM shop.orders, (SELECT current_setting('temp_directory') AS x)
        SELECT COLUMNS(lambda c: current_setting(c) = 'x') FROM shop.orders
    """,
    "catalogs": """
        SELECT * FROM duckdb_views()
        SELECT * FROM duckdb_views
        SELECT * FROM duckdb_settings()
        SELECT * FROM duckdb_tables()
        SELECT * FROM duckdb_columns()
        SELECT * FROM duckdb_schemas()
        SELECT * FROM duckdb_databases()
        SELECT * FROM duckdb_constraints()
        SELECT * FROM duckdb_indexes()
        SELECT * FROM duckdb_functions()
        SELECT * FROM duckdb_extensions()
        SELECT * FROM duckdb_dependencies()
        SELECT * FROM duckdb_secrets()
        SELECT * FROM duckdb_variables()
        SELECT * FROM duckdb_memory()
        SELECT * FROM duckdb_temporary_files()
        SELECT * FROM duckdb_prepared_statements()
        SELECT * FROM duckdb_logs
        SELECT * FROM duckdb_log_contexts()
        SELECT * FROM duckdb_external_file_cache()
        SELECT * FROM pragma_show('shop.orders')
        SELECT * FROM pragma_table_info('shop.orders')
        SELECT * FROM pragma_storage_info('shop.orders')
        SELECT * FROM pragma_database_size()
        SELECT * FROM pragma_user_agent()
        SELECT * FROM show_tables_expanded()
        SELECT * FROM sqlite_master
        SELECT * FROM main.sqlite_master
        SELECT * FROM system.main.duckdb_views
        SELECT * FROM system.information_schema.tables
        SELECT * FROM temp.information_schema.tables
        SELECT * FROM memory.information_schema.tables
        SELECT * FROM memory.main.x
        SELECT * FROM information_schema.views
        SELECT * FROM information_schema.table_constraints
        SELECT * FROM information_schema.key_column_usage
        SELECT * FROM mesh.information_schema.character_sets
        SELECT * FROM mesh."information schema".tables
        SELECT * FROM mesh.answer.rows
        SELECT * FROM pg_catalog.pg_class
        SELECT * FROM pg_catalog.pg_views
        SELECT * FROM mesh.pg_catalog.pg_tables
        SELECT * FROM pg_class
        SELECT * FROM pg_tables
        SELECT * FROM (SHOW ALL TABLES)
        SELECT * FROM (SHOW TABLES FROM vault)
        SELECT * FROM (SHOW DATABASES)
        SHOW DATABASES
        SHOW SCHEMAS
    """,
    "table functions": """
        SELECT * FROM seq_scan('vault.secrets')
        SELECT * FROM index_scan('vault.secrets')
        SELECT * FROM repeat_row(1), duckdb_views()
        SELECT * FROM summary((SELECT 1))
        SELECT * FROM test_all_types()
        SELECT * FROM test_vector_types(1)
        SELECT * FROM icu_calendar_names()
        SELECT * FROM pg_timezone_names()
        SELECT * FROM sql_auto_complete('SELECT * FROM ')
        SELECT * FROM checkpoint()
    """,
    "Python and Arrow": """
        SELECT * FROM df
        SELECT * FROM sql
        SELECT * FROM session
        SELECT * FROM connection
        SELECT * FROM message
        SELECT * FROM main.message
        SELECT * FROM mesh.message
        SELECT * FROM arrow_scan(1, 2, 3)
        SELECT * FROM arrow_scan_dumb(1, 2, 3)
        SELECT * FROM pandas_scan(1)
        SELECT * FROM python_map_function(1)
        SELECT * FROM scan_arrow_ipc([{'ptr': 1::UBIGINT, 'size': 1::UBIGINT}])
        SELECT variant_bytes_to_variant('x'::BLOB)
    """,
    "writes": """
        CREATE TABLE shop.x AS SELECT 1
        CREATE TEMP TABLE x AS SELECT 1
        CREATE VIEW shop.x AS SELECT * FROM vault.secrets
        CREATE OR REPLACE VIEW shop.orders AS SELECT 1
        CREATE MACRO m() AS TABLE SELECT * FROM vault.secrets
        CREATE FUNCTION m(x) AS (SELECT max(text) FROM vault.secrets)
        CREATE TEMP MACRO sum(x) AS 42
        CREATE SCHEMA vault
        CREATE TYPE t AS ENUM ('a')
        CREATE TYPE t AS ENUM (SELECT text FROM vault.secrets)
        CREATE SEQUENCE s
        CREATE INDEX i ON shop.orders (id)
        ALTER VIEW shop.orders RENAME TO x
        DROP VIEW shop.orders
        DROP SCHEMA shop CASCADE
        COMMENT ON VIEW shop.orders IS 'x'
        INSERT INTO shop.orders VALUES (3, 'c')
        UPDATE shop.orders SET id = 1
        DELETE FROM shop.orders
        TRUNCATE shop.orders
        MERGE INTO shop.orders USING shop.orders o ON true WHEN MATCHED THEN DELETE
        EXPLAIN INSERT INTO shop.orders VALUES (1, 'x')
        EXPLAIN ANALYZE DELETE FROM shop.orders
        EXPLAIN (FORMAT html) SELECT 1
        EXPLAIN (ANALYZE) SELECT * FROM vault.secrets
    """,
    "texts of errors": """
        SELECT CASE WHEN (SELECT text FROM vault.secrets LIMIT 1) LIKE 't%' THEN error('leak') END
        SELECT error((SELECT max(text) FROM vault.secrets))
        SELECT TRY((SELECT max(text) FROM vault.secrets)::INT)
        SELECT CAST((SELECT max(text) FROM vault.secrets) AS INTEGER)
        SELECT (SELECT max(text) FROM vault.secrets)::ENUM ('a')
        SELECT 1 / (SELECT count(*) - 1 FROM vault.secrets)
        SELECT * FROM shop.secrets
        SELECT * FROM shop.order
        SELECT * FROM vaul.secrets
        SELECT text_of_vault FROM shop.orders
        SELECT nothing(1)
        SELECT CAST(text AS INTEGER) FROM shop.orders
        SELECT strptime(text, '%Y') FROM shop.orders
        SELECT regexp_matches(text, '(') FROM shop.orders
        SELECT CAST('{"a"' AS JSON)
        SELECT make_date(0, 0, 0)
        SELECT id::DECIMAL(38, 38) * 99 FROM shop.orders
        SELECT array_extract(text, 'x') FROM shop.orders
        SELECT '\\xZZ'::BLOB
    """,
}

# These run, and what they give is nothing of the closed product.
HARMLESS = r"""
    SELECT count(*) FROM range(10)
    SELECT * FROM generate_series(1, 3), unnest([1, 2])
    SELECT * FROM json_each('[1, 2]')
    WITH orders AS (SELECT 5 AS id) SELECT * FROM orders JOIN shop.orders o ON o.id < orders.id
    WITH shop AS (SELECT 1) SELECT * FROM shop.orders
    SELECT pg_typeof(id), typeof(text), version() IS NOT NULL FROM shop.orders
    VALUES (1, 'vault.secrets'), (2, 'COPY x TO y')
    SELECT 'SELECT * FROM vault.secrets' AS "vault.secrets" -- DROP TABLE vault.secrets
    SELECT E'\'; TABLE vault.secrets --'
    SELECT 1 /* /* nested */ ; TABLE vault.secrets */
    SELECT 1;;;
    SELECT * FROM shop.orders AS "vault.secrets"
    SELECT "vault.secrets".id FROM shop.orders AS "vault.secrets"
    SELECT secrets.text FROM shop.orders AS secrets
    SELECT vault.secrets FROM (SELECT {'secrets': text} AS vault FROM shop.orders)
    SELECT COLUMNS('i.*') FROM shop.orders
    SELECT * EXCLUDE (id) FROM shop.orders QUALIFY row_number() OVER (ORDER BY id) = 1
    SELECT * FROM shop.orders POSITIONAL JOIN (SELECT * FROM mesh.shop.orders)
    SELECT * FROM shop.orders WINDOW w AS (PARTITION BY (SELECT max(text) FROM vault.secrets))
    SELECT * FROM (PIVOT shop.orders ON id IN (1, 2) USING max(text))
    SUMMARIZE shop.orders
    DESCRIBE vault.secrets
    DESCRIBE TABLE vault.secrets
    DESCRIBE (SELECT * FROM vault.secrets)
    DESCRIBE shop.orders
    DESC SELECT id FROM shop.orders
    SHOW TABLES
    SHOW TABLES FROM shop
    SHOW ALL TABLES
    TABLE shop.orders
    FROM shop.orders SELECT id
    WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r
    SELECT * FROM shop.orders USING SAMPLE 1 ROWS
    SELECT * FROM shop.orders ASOF JOIN shop.orders o USING (id)
    SELECT now() > TIMESTAMPTZ '2020-01-01', random() < 2, uuid() IS NOT NULL
    SELECT list_transform([1], lambda x: x + 1), [x + 1 for x in [1, 2]], {'a': 1}.a
"""


def lines(block: str) -> list[str]:
    """Give the statements of a block, one a line."""
    return [line.strip() for line in block.strip().splitlines()]


def refused() -> list[tuple[str, str]]:
    """Give (kind, statement) of all that is refused."""
    return [(kind, sql) for kind, block in REFUSED.items() for sql in lines(block)]
