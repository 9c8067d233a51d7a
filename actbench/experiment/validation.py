"""The base class of all settings, and pydantic's errors as one line."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from actbench.errors import UsageError


class Settings(BaseModel):
    """One group of conf/: frozen, typed without coercion, unknown keys rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Settings)


def require(condition: bool, key: str, value: object, wanted: str) -> None:
    """Raises UsageError `key=value: must be wanted` unless the condition holds."""
    if not condition:
        raise UsageError(f"{key}={_as_yaml(value)}: must be {wanted}")


def _as_yaml(value: object) -> object:
    return {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else value


def validated(model: type[Model], content: Any, place: str = "") -> Model:
    """Validates nested mappings as a model. Raises UsageError, whose message begins with `place`."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{place}{_message(error)}") from error


def groups_of(model: type[Model], composed: Mapping[str, Any]) -> Model:
    """Validates the groups of a composed configuration that the model has. Raises UsageError."""
    return validated(model, {key: composed[key] for key in model.model_fields})


_WANTED = {  # by pydantic's type of error
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "float_type": "a finite number",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "int_type": "a whole number",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "literal_error": "{expected}",
    "model_attributes_type": "a group of keys",
    "model_type": "a group of keys",
    "string_too_short": "not empty",
    "string_type": "text",
    "too_short": "not empty",
    "tuple_type": "a list, [a,b]",
    "union_tag_invalid": "{expected_tags}",
}


def _message(error: ValidationError) -> str:
    """The first wrong key of a model as one line: its dotted path, its value and what it must be."""
    details = error.errors()
    first, path = details[0], _path(details[0]["loc"])
    if first["type"] == "value_error":
        raised = first["ctx"]["error"]
        return str(raised) if isinstance(raised, UsageError) else f"{path} {raised}"
    if first["type"] == "extra_forbidden":
        return f"unknown key {path}"
    if first["type"] == "missing":
        return f"missing key {path}"
    if first["type"] == "union_tag_invalid":
        return f"{path}.name={first['ctx']['tag']}: must be {_wanted(first)}"
    same_key = [detail for detail in details if _path(detail["loc"]) == path]  # a union reports one error per member
    wanted = " or ".join(dict.fromkeys(_wanted(detail) for detail in same_key))
    return f"{path}={_as_yaml(first['input'])}: must be {wanted}" if path else f"{first['input']} must be {wanted}"


def _path(location: tuple[int | str, ...]) -> str:
    """The dotted key of an error's location, without pydantic's marks for members of a union."""
    keys = [part for part in location if isinstance(part, str) and part.isidentifier()]
    if keys[:1] in (["architecture"], ["optimizer"]):
        del keys[1:2]  # the discriminator's value
    return ".".join(keys)


def _wanted(detail: Any) -> str:
    context = dict(detail.get("ctx", {}))
    for key in ("expected", "expected_tags"):
        choices = str(context.get(key, "")).replace("'", "").replace(" or ", ", ")
        context[key] = f"one of {choices}" if ", " in choices else choices
    return _WANTED.get(detail["type"], detail["msg"]).format(**context)
