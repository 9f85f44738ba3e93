"""What the anthropic package's own types make of a request or an answer.

Its types are open: a client must not fail when the API learns something. What infermux writes must
have no key that they do not know, so that here every type is closed, and nothing is converted.
"""

import importlib
import json
import pkgutil

import anthropic.types
import pydantic
import typing_extensions


def _close_all():
    """Makes every typed dictionary of the package refuse keys that it does not name."""
    package = anthropic.types
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        for value in vars(importlib.import_module(module.name)).values():
            if typing_extensions.is_typeddict(value):
                value.__pydantic_config__ = {"extra": "forbid", "arbitrary_types_allowed": True}


_close_all()
_REQUEST = pydantic.TypeAdapter(anthropic.types.message_create_params.MessageCreateParams)
_EVENT = pydantic.TypeAdapter(anthropic.types.RawMessageStreamEvent)


class Wrong(Exception):
    """What was checked is not what the package knows."""


def check_request(body):
    """Asserts that `body`, as parsed JSON, is a request to the Messages API."""
    _walk(_checked(lambda: _REQUEST.validate_python(body, strict=True)))


def check_message(message):
    """Asserts that `message`, as parsed JSON, is an answer of the Messages API."""
    _walk(_checked(lambda: anthropic.types.Message.model_validate_json(json.dumps(message))))


def check_event(event):
    """Asserts that `event`, as parsed JSON, is one of a stream of the Messages API."""
    _walk(_checked(lambda: _EVENT.validate_json(json.dumps(event))))


def _checked(read):
    try:
        return read()
    except pydantic.ValidationError as error:
        raise Wrong(str(error)) from None


def _walk(value):
    """Goes through all of `value`: lists are only checked when somebody reads them."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, pydantic.BaseModel):
            if value.model_extra:
                raise Wrong(f"{type(value).__name__} has no {sorted(value.model_extra)}")
            waiting.extend(getattr(value, name) for name in type(value).model_fields)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif hasattr(value, "__iter__") and not isinstance(value, (str, bytes)):
            waiting.extend(_checked(lambda value=value: list(value)))
