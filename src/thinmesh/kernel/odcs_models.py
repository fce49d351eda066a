"""The official models of ODCS (`open-data-contract-standard`) judge a copy of what is in a document."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from .document_faults import Faults, Fields, Path

if TYPE_CHECKING:
    from pydantic import BaseModel


def check_contract(value: Mapping[str, Any], faults: Faults) -> None:
    """Note everything in a whole contract that the official models refuse, and report what they do not know."""
    from open_data_contract_standard.model import OpenDataContractStandard

    _check(OpenDataContractStandard, value, (), faults)


def check_property(value: Mapping[str, Any], path: Path, faults: Faults) -> None:
    """Note everything in one schema property that the official models refuse, and report what they do not know."""
    from open_data_contract_standard.model import SchemaProperty

    _check(SchemaProperty, value, path, faults)


def check_object(value: Mapping[str, Any], path: Path, faults: Faults) -> None:
    """Note everything in the members of one schema object that the official models refuse."""
    from open_data_contract_standard.model import SchemaObject

    _check(SchemaObject, value, path, faults)


def _check(model: type[BaseModel], value: Mapping[str, Any], path: Path, faults: Faults) -> None:
    from pydantic import ValidationError

    try:
        model.model_validate(value)
    except ValidationError as error:
        for each in error.errors(include_url=False, include_context=False, include_input=False):
            place = (*path, *_present(value, each["loc"]))
            if each["type"] == "extra_forbidden":
                hint = faults.hint(str(place[-1]), _members(model))
                faults.add(place, "unknown_field", f"{place[-1]!r} is no field of ODCS{hint}", of_key=True)
            elif not faults.at(place):
                faults.add(place, "odcs", f"{each['msg'][:1].lower()}{each['msg'][1:]} (ODCS)")
    _report(model, value, path, faults)


def _present(value: Any, location: tuple[int | str, ...]) -> Path:
    """Give the part of pydantic's location that is in the document; the rest names branches of a union."""
    path: list[int | str] = []
    for step in location:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(step)
    return tuple(path)


def _report(model: type[BaseModel], value: Mapping[str, Any], path: Path, faults: Faults) -> None:
    """Report members deep inside that the models do not know."""
    for name, members in _members(model).items():
        found = value.get(name)
        if isinstance(found, Mapping) and members[0]:
            _report_object(members[0], found, (*path, name), faults)
        elif isinstance(found, list) and members[1]:
            for at, each in enumerate(found):
                if isinstance(each, Mapping):
                    _report_object(members[1], each, (*path, name, at), faults)


def _report_object(model: type[BaseModel], value: Mapping[str, Any], path: Path, faults: Faults) -> None:
    Fields(value, path, faults).report_unknown(_members(model), f"an ODCS {model.__name__}")
    _report(model, value, path, faults)


@cache
def _members(model: type[BaseModel]) -> dict[str, tuple[type[BaseModel] | None, type[BaseModel] | None]]:
    """Give the members of a model: the model of an object there, and that of the items of a list there."""
    return {field.alias or name: _models(field.annotation) for name, field in model.model_fields.items()}


def _models(annotation: Any) -> tuple[type[BaseModel] | None, type[BaseModel] | None]:
    from pydantic import BaseModel

    direct, listed = None, None
    branches = typing.get_args(annotation) if typing.get_origin(annotation) is not list else (annotation,)
    for branch in branches or (annotation,):
        if typing.get_origin(branch) is list:
            listed = _models(typing.get_args(branch)[0])[0] or listed
        elif isinstance(branch, type) and issubclass(branch, BaseModel):
            direct = branch
    return direct, listed
