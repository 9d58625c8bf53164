"""The service keeps what its OpenAPI description says: schemathesis asks at random."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from events import MEDIA, ended, event
from schemathesis.specs.openapi.checks import positive_data_acceptance
from serve_fakes import FakeWatch

from alpr_edge.serve.app import create_app
from alpr_edge.watch.config import ServeConfig

HEADERS = {"Host": "localhost"}
ENDLESS = "/v1/events/stream"
EXCLUDED = {"/v1/read": [positive_data_acceptance]}
"""Random bytes are right by the description, but no picture."""
MODES = schemathesis.GenerationMode
DESCRIBED = create_app(FakeWatch(), ServeConfig()).openapi()["paths"]
OPERATIONS = [
    pytest.param(path, method, mode, id=f"{method} {path} {mode.value}")
    for path, methods in DESCRIBED.items() if path != ENDLESS
    for method, operation in methods.items()
    for mode in MODES  # where there is nothing to send, there is nothing wrong to send
    if mode is MODES.POSITIVE or operation.keys() & {"parameters", "requestBody"}
]


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    watch = FakeWatch(tmp_path_factory.mktemp("store"))
    for number in range(5):
        watch.add(ended(event(number)), MEDIA)
    app = create_app(watch, ServeConfig(max_body_mb=0.1))
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers=HEADERS)


@pytest.mark.parametrize("path, method, mode", OPERATIONS)
def test_every_address_keeps_its_description(api, path, method, mode):
    operation = api[path][method.upper()]

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=30, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def ask(case):
        case.call_and_validate(headers=HEADERS, excluded_checks=EXCLUDED.get(path, []))

    ask()
