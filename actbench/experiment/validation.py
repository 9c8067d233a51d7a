"""The base class of all settings, and pydantic's errors as one line."""

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from actbench.errors import UsageError


class Settings(BaseModel):
    """One group of conf/: frozen, typed without coercion, unknown keys rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Settings)


def require(condition: bool, key: str, value: object, wanted: str) -> None:
    """Raises UsageError `key=value: must be wanted` unless the condition holds."""
    if not condition:
        raise UsageError(f"{key}={as_yaml(value)}: must be {wanted}")


def as_yaml(value: object) -> object:
    """null, true and false as YAML writes them; other values as they are."""
    return {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else value


def validated(model: type[Model], content: Any, place: str = "") -> Model:
    """Validates nested mappings as a model. Raises UsageError, whose message begins with `place`."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{place}{_message(model, error)}") from error


def groups_of(model: type[Model], composed: Mapping[str, Any]) -> Model:
    """Validates the groups of a composed configuration that the model has. Raises UsageError."""
    return validated(model, {key: composed[key] for key in model.model_fields})


def wanted_at(model: type[BaseModel], keys: Sequence[str], kind: str) -> str:
    """What a key of nested groups may be, in words; empty for a short form that is no field. kind: of a union."""
    field = _walk(model, (keys[0], kind, *keys[1:]))[2] or _walk(model, tuple(keys))[2]
    return "" if field is None else _wanted(field.annotation, field.metadata, field.description)


def _message(model: type[BaseModel], error: ValidationError) -> str:
    """The first wrong key of a model as one line: its dotted path, its value and what it must be."""
    details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")  # unknown keys first
    first = details[0]
    keys, owner, field = _walk(model, first["loc"])
    path = ".".join(keys)
    match first["type"]:
        case "value_error":
            raised = first["ctx"]["error"]
            return str(raised) if isinstance(raised, UsageError) else f"{path} {raised}"
        case "extra_forbidden" | "invalid_key":
            return f"unknown key {path}; known here: {', '.join(owner.model_fields)}"
        case "missing":
            return f"missing key {path}"
        case "union_tag_not_found":
            return f"missing key {path}.name"
        case "union_tag_invalid":
            expected = first["ctx"]["expected_tags"].replace("'", "")
            return f"{path}.name={first['ctx']['tag']}: must be one of {expected}"
    if field is None or "model" in first["type"]:
        value = as_yaml(first["input"])
        return f"{path}={value}: must be a group of keys" if path else f"{value} must be a group of keys"
    return f"{path}={as_yaml(first['input'])}: must be {_wanted(field.annotation, field.metadata, field.description)}"


def _walk(
    model: type[BaseModel], location: tuple[int | str, ...]
) -> tuple[list[str], type[BaseModel], FieldInfo | None]:
    """The keys of an error's location, the model that has the last of them, and its field; None for an unknown key.

    A location has also the tags of unions and the places in lists, which are no keys.
    """
    keys: list[str] = []
    parts = list(location)
    while parts:
        keys.append(str(parts.pop(0)))
        field = model.model_fields.get(keys[-1])
        if field is None:
            return keys, model, None
        members = [member for member in (field.annotation, *get_args(field.annotation)) if _is_model(member)]
        if len(members) > 1 and parts:
            tag = parts.pop(0)
            members = [member for member in members if tag in get_args(member.model_fields["name"].annotation)]
        if not members or not parts:
            return keys, model, field
        model = members[0]
    return keys, model, None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _wanted(annotation: Any, metadata: Sequence[Any], description: str | None) -> str:
    """What a field may be: its description or its type, with its bounds; and null where that is allowed."""
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    texts = (
        [description] if description else [_type_text(member, metadata) for member in members if member not in _NULL]
    )
    return " or ".join([*texts, *("null" for member in members if member in _NULL)])


_NULL = (None, type(None))
_TYPES = {float: "a finite number", int: "a whole number", bool: "true or false", str: "text"}


def _type_text(annotation: Any, metadata: Sequence[Any]) -> str:
    if get_origin(annotation) is Annotated:
        annotation, *inner = get_args(annotation)
        return _type_text(annotation, inner)
    if get_origin(annotation) is Literal:
        values = ", ".join(map(str, get_args(annotation)))
        return f"one of {values}" if ", " in values else values
    if get_origin(annotation) is tuple:
        return "a list, [a,b]"
    for item in [item for item in metadata if isinstance(item, FieldInfo)]:
        metadata = [*metadata, *item.metadata]
    return f"{_TYPES.get(annotation, 'something else')} {_bounds(metadata)}".strip()


def _bounds(metadata: Sequence[Any]) -> str:
    """The range of a number in words."""
    bounds = {key: getattr(item, key) for item in metadata for key in ("gt", "ge", "lt", "le") if hasattr(item, key)}
    words = {"gt": "above", "ge": "from", "lt": "below", "le": "to" if "ge" in bounds else "at most"}
    texts = [f"{word} {bounds[key]}" for key, word in words.items() if key in bounds]
    return (" " if {"ge", "le"} <= bounds.keys() else ", ").join(texts)
