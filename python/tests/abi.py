"""The tables of libpay88 as the C ABI gives them, to compare the package with."""

import ctypes
import os
import re

import pay88
from conftest import ROOT

LIBRARY = os.path.join(os.path.dirname(pay88.__file__), "libpay88.so.0")


class Text(ctypes.Structure):
    """A pay88_str."""

    _fields_ = (("data", ctypes.c_char_p), ("len", ctypes.c_size_t))

    def __str__(self):
        return self.data[: self.len].decode()


def names(kind):
    """The names of a table: "option" or "event_kind"."""
    library = ctypes.CDLL(LIBRARY)
    count, name = getattr(library, f"pay88_{kind}_count"), getattr(library, f"pay88_{kind}_name")
    count.restype, name.restype, name.argtypes = ctypes.c_size_t, Text, [ctypes.c_size_t]
    return [str(name(index)) for index in range(count())]


def codes():
    """The names of all errors."""
    name = ctypes.CDLL(LIBRARY).pay88_status_name
    name.restype, name.argtypes = Text, [ctypes.c_int]
    header = (ROOT / "include" / "pay88.h").read_text()
    return [str(name(int(number))) for number in re.findall(r"^  PAY88_[A-Z_]+ = ([1-9]\d\d),$", header, re.MULTILINE)]


def outcomes():
    """The names of all outcomes."""
    name = ctypes.CDLL(LIBRARY).pay88_outcome_name
    name.restype, name.argtypes = Text, [ctypes.c_int]
    header = (ROOT / "include" / "pay88.h").read_text()
    return [
        str(name(int(number))) for number in re.findall(r"^  PAY88_OUTCOME_[A-Z_]+ = (\d+),$", header, re.MULTILINE)
    ]
