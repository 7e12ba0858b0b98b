"""nbgrader without the work that it repeats, for a gradebook that lives as long as one task.

For every submission nbgrader opens the gradebook ten times, looks each time for all its tables, compiles the same
statements, waits for the disk after every cell, and checks for every cell that its own schema is a schema. Here the
tables are taken to be there, statements and schemas are kept from one submission to the next, and nothing waits for the
disk: the parent keeps the results. What is graded is the same.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import nbgrader.api
import nbgrader.nbgraderformat.common
from jsonschema.exceptions import best_match
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import QueuePool
from traitlets.config import Config

_place = Path()


@contextmanager
def frugal(gradebook: Path) -> Iterator[None]:
    """Have nbgrader open the gradebook in this file, and check notebooks, without repeating itself."""
    global _place
    url = f"sqlite:///{gradebook.as_posix()}"
    api, common = nbgrader.api, nbgrader.nbgraderformat.common
    kept = api.create_engine, api.Base, common.jsonschema

    def open_engine(address: str, **options: Any) -> Engine:
        return _engine() if address == url else create_engine(address, **options)

    def create_tables(bind: Engine) -> None:
        if bind is not _engine():
            kept[1].metadata.create_all(bind)

    _place = gradebook
    api.create_engine = open_engine
    api.Base = SimpleNamespace(metadata=SimpleNamespace(create_all=create_tables))
    common.jsonschema = SimpleNamespace(validate=_validate)
    try:
        yield
    finally:
        api.create_engine, api.Base, common.jsonschema = kept
        _engine().dispose()  # no connection outlives its gradebook


def spare(config: Config) -> None:
    """Set that a notebook is validated after all steps of a conversion, not after each of them."""
    config.NotebookExporter.optimistic_validation = True


@lru_cache
def _engine() -> Engine:
    """The engine of all gradebooks, one after the other: it knows the statements that it has compiled."""
    return create_engine("sqlite://", creator=_connect, poolclass=QueuePool)


def _connect() -> sqlite3.Connection:
    connection = sqlite3.connect(_place, check_same_thread=False)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=MEMORY")
    return connection


def _validate(instance: Any, schema: dict) -> None:
    """As ``jsonschema.validate``, which checks the schema too, each time."""
    error = best_match(_validator(json.dumps(schema)).iter_errors(instance))
    if error is not None:
        raise error


@lru_cache
def _validator(schema: str) -> Any:
    kind = jsonschema.validators.validator_for(json.loads(schema))
    kind.check_schema(json.loads(schema))
    return kind(json.loads(schema))
