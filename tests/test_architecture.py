"""The structure of the code: direction of imports, number of folders, length of files and functions."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "dfal_cli").rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 250, 50
MOST_FOLDERS, MOST_MODULES = 14, 5
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def test_imports_go_down_only_and_select_and_merge_never_reach_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("importlinter", reason="import-linter is not installed (pip install .[dev])")
    from importlinter.cli import lint_imports

    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_short_enough_to_read(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nobody_draws_from_the_global_random_generator_of_numpy_or_python(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert "random" not in {alias.name for alias in node.names}
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
            assert node.attr in {"default_rng", "Generator", "SeedSequence"}


def test_the_package_shows_few_folders_and_modules() -> None:
    shown = [path for path in (ROOT / "dfal_cli").iterdir() if path.name != "__pycache__"]
    assert len([path for path in shown if path.is_dir()]) <= MOST_FOLDERS
    assert len([path for path in shown if path.is_file()]) <= MOST_MODULES


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_functions_are_short_enough_to_read(module: Path) -> None:
    functions = [node for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))) if isinstance(node, FUNCTION)]
    too_long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION]
    assert too_long == []
