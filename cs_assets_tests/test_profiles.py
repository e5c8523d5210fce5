"""The choice of the profile and the numbers that depend on it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from cs_assets.profiles import by_profile, current_profile


@pytest.mark.parametrize(("value", "profile"), [(None, "demo"), ("", "demo"), ("demo", "demo"), ("full", "full")])
def test_profile_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch, value: str | None, profile: str) -> None:
    monkeypatch.delenv("CS_PROFILE", raising=False)
    if value is not None:
        monkeypatch.setenv("CS_PROFILE", value)
    assert current_profile() == profile


def test_an_unknown_profile_is_answered_with_those_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CS_PROFILE", "huge")
    with pytest.raises(ValueError, match=r"CS_PROFILE is 'huge'; allowed are demo, full\."):
        current_profile()


@pytest.mark.parametrize(("profile", "wanted"), [("demo", 1), ("full", 9)])
def test_a_field_takes_the_default_of_the_profile(monkeypatch: pytest.MonkeyPatch, profile: str, wanted: int) -> None:
    monkeypatch.setenv("CS_PROFILE", profile)

    class Settings(BaseModel):
        size: int = by_profile(demo=1, full=9, description="How large.", ge=1)

    assert Settings().size == wanted
    assert Settings.model_fields["size"].description == "How large."


def test_constraints_of_a_field_hold() -> None:
    class Settings(BaseModel):
        size: int = by_profile(demo=1, full=9, description="How large.", ge=1)

    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Settings(size=0)


def test_dotenv_reaches_every_process_that_imports_the_package(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CS_PROFILE=full\nCS_STORE=from_file\n", encoding="utf-8")
    script = "import os, cs_assets.profiles as p; print(p.current_profile(), os.environ['CS_STORE'])"
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHON_DOTENV_DISABLED", "CS_PROFILE"}}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=kept | {"CS_STORE": "set_already", "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["full", "set_already"]
