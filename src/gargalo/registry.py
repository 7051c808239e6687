"""Names for functions: a registered function's signature is its schema, its docstring its help.

A *selector* names one with arguments in a string, ``"noise:std=0.3"``; it means the same in Python, on the
command line and in a checkpoint. Other packages add names through entry points in the groups
``gargalo.methods``, ``gargalo.sources`` and so on; they cannot replace a name that exists.
"""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import partial
from importlib.metadata import entry_points
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

Function = TypeVar("Function", bound=Callable[..., Any])


class Argument(NamedTuple):
    """One keyword-only parameter of a registered function."""

    type: Any
    default: Any  # `inspect.Parameter.empty` where it must be given


class Registry:
    """A dictionary of functions by name, in order of registration. Decorate a function to add it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._functions: dict[str, Callable[..., Any]] = {}
        self._plugins_loaded = False

    def __call__(self, function: Function) -> Function:
        name: str = function.__name__
        if name in self._functions:
            raise ValueError(f"A {self.kind} called {name!r} exists already.")
        self._functions[name] = function
        return function

    def __getitem__(self, name: str) -> Callable[..., Any]:
        key = name.replace("-", "_")
        if key not in self._functions:
            self._load_plugins()
        if key not in self._functions:
            close = get_close_matches(key, self._functions, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(self)}."
            raise ValueError(f"No {self.kind} is called {name!r}. {hint}")
        return self._functions[key]

    def __contains__(self, name: str) -> bool:
        return name.replace("-", "_") in self._functions

    def __iter__(self) -> Iterator[str]:
        self._load_plugins()
        return iter(self._functions)

    def arguments(self, name: str) -> dict[str, Argument]:
        """The keyword-only parameters of a function with their types and defaults."""
        function = self[name]
        hints = get_type_hints(function)
        return {
            p.name: Argument(hints.get(p.name, str), p.default)
            for p in inspect.signature(function).parameters.values()
            if p.kind is p.KEYWORD_ONLY
        }

    def defaults(self, name: str) -> dict[str, Any]:
        """The values of arguments that may be left out."""
        known = {key: argument.default for key, argument in self.arguments(name).items()}
        return {key: default for key, default in known.items() if default is not inspect.Parameter.empty}

    def summary(self, name: str) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self[name]) or "").partition("\n")[0]

    def check(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Convert ``given`` to the types of the signature.

        Raises ValueError for a name that the function does not take, a value that does not fit, or a
        required argument left out.
        """
        known = self.arguments(name)
        for key in given:
            if key not in known:
                takes = ", ".join(known) or "no arguments"
                raise ValueError(f"{self.kind} {name!r} has no {key!r}. It takes: {takes}.")
        for key, argument in known.items():
            if argument.default is inspect.Parameter.empty and key not in given:
                raise ValueError(f"{self.kind} {name!r} needs {key}: write {name}:{key}=...")
        return {key: convert(value, known[key].type, key) for key, value in given.items()}

    def parse(self, selector: str) -> tuple[str, dict[str, Any]]:
        """``"noise:std=0.3"`` to ``("noise", {"std": 0.3})``, checked against the signature."""
        name, _, tail = selector.partition(":")
        given: dict[str, Any] = {}
        for part in filter(None, tail.split(",")):
            key, equals, value = part.partition("=")
            if not equals:
                raise ValueError(f"{part!r} in {selector!r} is not key=value. Write name:key=value,key=value.")
            given[key.strip().replace("-", "_")] = value.strip()
        self[name]  # an unknown name is the first thing to say
        return name.replace("-", "_"), self.check(name, given)

    def select(self, selector: str | Callable[..., Any]) -> Callable[..., Any]:
        """The function a selector names, with its arguments filled in; a function is itself."""
        if callable(selector):
            return selector
        name, arguments = self.parse(selector)
        return partial(self[name], **arguments)

    def _load_plugins(self) -> None:
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        for entry in entry_points(group=f"gargalo.{self.kind}s"):
            if entry.name in self._functions:
                raise ValueError(f"The plugin {entry.value!r} may not replace the {self.kind} {entry.name!r}.")
            function = entry.load()
            # A plugin that uses our decorator has registered itself while it was imported.
            if self._functions.get(entry.name) is not function:
                self._functions[entry.name] = function


def convert(value: Any, kind: Any, name: str) -> Any:
    """Text (or a value that already fits) to an annotated type: int, float, bool, str, Literal, unions of them.

    Raises ValueError that says what was given and what is accepted.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _convert_union(value, get_args(kind), name)
    if origin is Literal:
        for choice in get_args(kind):
            if str(choice) == str(value):
                return choice
        raise ValueError(f"{name}={value!r} must be one of {', '.join(map(str, get_args(kind)))}.")
    if kind is bool and str(value).lower() in ("true", "1", "yes", "false", "0", "no"):
        return str(value).lower() in ("true", "1", "yes")
    if kind in (int, float) and not isinstance(value, bool):
        try:
            number = kind(value)
        except (TypeError, ValueError, OverflowError):
            return _refuse(value, kind, name)
        fits = abs(number) < math.inf and (isinstance(value, str) or number == value)
        return number if fits else _refuse(value, kind, name)
    if kind in (bool, int, float):
        return _refuse(value, kind, name)
    return str(value) if kind is str else value


def _convert_union(value: Any, kinds: tuple[Any, ...], name: str) -> Any:
    if type(None) in kinds and (value is None or str(value).lower() == "none"):
        return None
    errors: list[ValueError] = []
    for kind in sorted((k for k in kinds if k is not type(None)), key=lambda k: k is str):
        try:
            return convert(value, kind, name)
        except ValueError as error:
            errors.append(error)
    raise errors[0]


def _refuse(value: Any, kind: type, name: str) -> Any:
    article = {int: "a whole number", float: "a number", bool: "true or false"}[kind]
    raise ValueError(f"{name}={value!r} must be {article}.")


method = Registry("method")
network = Registry("network")
source = Registry("source")
corruption = Registry("corruption")
augmentation = Registry("augmentation")
prior = Registry("prior")
likelihood = Registry("likelihood")
