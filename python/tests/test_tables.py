"""Options, error codes and events are those of the one table of the library."""

import ast
import pathlib

import abi
import pay88
from pay88 import _error, _events


def test_every_option_is_typed():
    stub = ast.parse(pathlib.Path(pay88.__file__).with_name("_native.pyi").read_text())
    (manager,) = (node for node in stub.body if isinstance(node, ast.ClassDef) and node.name == "Manager")
    (new,) = (node for node in manager.body if isinstance(node, ast.FunctionDef) and node.name == "__new__")
    assert [argument.arg for argument in new.args.args[1:] + new.args.kwonlyargs] == abi.names("option")


def test_every_code_has_a_class_of_its_own():
    assert list(_error.CLASSES) == abi.codes()
    assert len(set(_error.CLASSES.values())) == len(_error.CLASSES)
    assert {error.__name__ for error in _error.CLASSES.values()} <= set(pay88.__all__)


def test_events_that_are_logged_quietly_exist():
    assert set(_events._QUIET) <= set(abi.names("event_kind"))
