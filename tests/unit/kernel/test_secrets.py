from __future__ import annotations

import pytest

from thinmesh.kernel.secrets import cleaned

SECRET = "s3cr3t-V4lue"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://me:{SECRET}@hub.example.org/x failed",
        f"Authorization: Bearer {SECRET}",
        f"header 'authorization: basic {SECRET}=='",
        f"http://hub/x?token={SECRET}&b=1",
        f'{{"access_token": "{SECRET}"}}',
        f"api_key={SECRET}, password: {SECRET}; secret='{SECRET}'",
    ],
)
def test_nothing_that_opens_a_door_stays_in_a_message(text):
    assert SECRET not in cleaned(text)
    assert cleaned(cleaned(text)) == cleaned(text)


def test_a_token_is_known_by_its_form_and_a_secret_of_the_settings_by_itself():
    assert "eyJ" not in cleaned(f"refused {JWT} now")
    assert cleaned("odd value: hunter22 said", ["hunter22", ""]) == "odd value: *** said"


def test_everything_else_stays_on_one_line_of_bounded_length():
    assert cleaned("https://hub.example.org:8080/openapi/v3 answered 500:\n  no such aspect") == (
        "https://hub.example.org:8080/openapi/v3 answered 500: no such aspect"
    )
    assert len(cleaned("x" * 10_000)) == 500
