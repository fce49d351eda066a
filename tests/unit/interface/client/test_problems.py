import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinmesh.interface.client.problems import error_of
from thinmesh.kernel import errors
from thinmesh.kernel.errors import Example, MeshError, Violation

KINDS = [kind for kind in MeshError.__subclasses__() if kind.__module__ == errors.__name__]
texts = st.text(max_size=20)
examples = st.builds(Example, st.none() | st.integers(1), st.none() | texts, st.none() | st.integers(1))
violations = st.builds(
    Violation,
    texts,
    texts,
    st.none() | texts,
    st.none() | texts,
    st.none() | texts,
    st.integers(1),
    st.tuples(examples),
)


@given(st.sampled_from(KINDS), texts, texts.filter(bool), st.lists(violations, max_size=2))
def test_what_a_server_refuses_is_the_same_error_here(kind, detail, help, found):
    sent = kind(detail, help=help, violations=found)
    received = error_of(sent.status, json.dumps(sent.problem()).encode())
    assert type(received) is kind
    assert received.problem() == sent.problem()


@pytest.mark.parametrize(("status", "code"), [(502, 5), (504, 5), (503, 5), (401, 3), (404, 4), (500, 70), (418, 1)])
def test_a_proxy_s_reply_is_read_as_well_as_may_be(status, code):
    error = error_of(status, b"<html>Bad gateway\x1b[0m</html>")
    assert error.exit_code == code
    assert "<html>" in error.detail


def test_a_code_of_a_later_release_keeps_its_status():
    found = {"code": "newer", "status": 422, "detail": "x", "help": "y"}
    assert type(error_of(422, json.dumps(found).encode())) is errors.Refused
