"""The store on S3 against a dict, on both engines and both servers."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from tests.places.s3_ import ENGINES, options

from runstore import ObjectStore
from runstore.testing import StoreMachine


@pytest.mark.parametrize("engine", ENGINES)
def test_the_store_does_what_a_dict_does(s3_server, engine):
    """Any sequence of verbs on two stores of one bucket gives what a dict would give."""

    class S3Machine(StoreMachine):
        def open_stores(self):
            url = f"s3://{s3_server.new_bucket()}/machine"
            given = options(s3_server)
            return ObjectStore(url, engine=engine, **given), ObjectStore(url, **given)

    run_state_machine_as_test(S3Machine, settings=settings(max_examples=4, stateful_step_count=15))
