"""Suites with which other people's executors and backends prove themselves."""
