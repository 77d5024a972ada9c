//! What it takes to import the package.

use super::group::{Aim, Group, Port, compare, entry};
use crate::program::Program;

const IMPORTS: u64 = 3;

pub(crate) const PYTHON: Group = Group {
    title: "Import, Python",
    server: Port::Http1,
    contenders: &[
        entry(
            Program::Python,
            "import-requests",
            "import requests",
            IMPORTS,
        ),
        entry(Program::Python, "import-pay88", "import pay88", IMPORTS),
    ],
    comparisons: &[compare(1, 0, Aim::Both(0.15))],
    limits: &[],
};
