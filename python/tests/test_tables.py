"""Options, error codes and events are those of the one table of the library."""

import ast
import inspect
import json
import pathlib

import abi
import pay88
from conftest import ROOT
from pay88 import _error, _native


def test_every_option_is_typed():
    stub = ast.parse(pathlib.Path(pay88.__file__).with_name("_native.pyi").read_text())
    (manager,) = (node for node in stub.body if isinstance(node, ast.ClassDef) and node.name == "Manager")
    (new,) = (node for node in manager.body if isinstance(node, ast.FunctionDef) and node.name == "__new__")
    assert [argument.arg for argument in new.args.args[1:] + new.args.kwonlyargs] == abi.names("option")


def test_every_code_has_a_class_of_its_own():
    assert list(_error.CLASSES) == abi.codes()
    assert len(set(_error.CLASSES.values())) == len(_error.CLASSES)
    assert {error.__name__ for error in _error.CLASSES.values()} <= set(pay88.__all__)


def test_codes_and_outcomes_are_literals_for_type_checkers():
    literals = {}
    for node in ast.walk(ast.parse(pathlib.Path(_error.__file__).read_text())):
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("Literal["):
            literals[node.targets[0].id] = list(ast.literal_eval(node.value.slice))
    assert literals == {"Code": abi.codes(), "Outcome": abi.outcomes()}
    assert {error("x").outcome for error in _error.CLASSES.values()} == set(abi.outcomes())


def test_an_error_that_a_program_makes_has_the_same_outcome_in_all_languages():
    told = json.loads((ROOT / "tests" / "default_outcomes.json").read_text())
    assert {code: kind("x").outcome for code, kind in _error.CLASSES.items()} == told


def test_what_the_compiled_part_does_is_explained_where_editors_look():
    """That is the stub, which has the same words as the compiled part."""
    stub = ast.parse(pathlib.Path(pay88.__file__).with_name("_native.pyi").read_text())
    explained = 0
    for kind in (node for node in stub.body if isinstance(node, ast.ClassDef)):
        real = getattr(_native, kind.name)
        named = [(kind, real)]
        named += [
            (node, real.__dict__[node.name])
            for node in kind.body
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        ]
        for node, one in named:
            assert ast.get_docstring(node) == inspect.getdoc(one), f"{kind.name}.{node.name}"
            explained += one.__doc__ is not None
    assert explained > 20
    for name in pay88.__all__:
        if not name.startswith("__"):
            assert inspect.getdoc(getattr(pay88, name)), name
    for face in (pay88.TokenManager, pay88.AsyncTokenManager):
        assert all(inspect.getdoc(getattr(face, name)) for name in ("get_token", "make_request", "stats", "rotate"))
