# The short names of what CI does. `just` alone lists them.

export NO_MKDOCS_2_WARNING := "1" # an advertisement

set windows-shell := ["powershell.exe", "-NoLogo", "-Command"]

_default:
    @just --list

# Run the tests; arguments go to pytest.
test *arguments:
    pytest {{ arguments }}

# Lint, check the format, the spelling and the types.
lint:
    ruff check .
    ruff format --check .
    codespell
    mypy

# Build the documentation; a broken link fails.
docs:
    mkdocs build --strict --quiet

# Build the wheel, and use it in an empty environment.
wheel:
    python .ci/wheel.py

# Everything that CI does, in a clean checkout.
ci:
    .ci/run
