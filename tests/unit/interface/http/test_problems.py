import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from thinmesh.interface.http import schemas
from thinmesh.interface.http.problems import of_validation


def told(model, body):
    with pytest.raises(ValidationError) as found:
        model.model_validate(body)
    return of_validation(
        RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found.value.errors()])
    )


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        (schemas.NewToken, {"expires": "3d"}, "expires: '3d' is not a duration: write P3D."),
        (schemas.NewToken, {"expires": "soon"}, "expires: 'soon' is not a duration: write it like P30D or PT12H."),
        (schemas.NewToken, {"expires": "P10000D"}, "too many digits: write it like P30D or PT12H."),
        (schemas.NewToken, {"scope": "rread"}, "scope: 'rread' is no scope; did you mean read?"),
        (schemas.NewTeam, {"name": "Shop-2"}, "with a letter first: write shop_2."),
        (schemas.NewUser, {"name": "Bad Name"}, "with a letter or digit first: write bad.name."),
        (schemas.NewStatement, {"sql": ""}, "sql: is empty."),
        (schemas.NewRequest, {"product": "p", "purpose": ""}, "purpose: is empty."),
        (schemas.NewRequest, {"product": "p"}, "purpose: is missing."),
        (schemas.NewStatement, {"sql": "x", "limit": [1]}, "limit: must be a whole number."),
        (schemas.NewStatement, {"sql": "x", "limt": 1}, "limt: is no field here."),
    ],
)
def test_faults_are_told_in_the_user_s_words(model, body, words):
    error = told(model, body)
    assert error.detail.endswith(words)
    assert "pattern" not in error.detail
    assert len(error.violations) == 1
