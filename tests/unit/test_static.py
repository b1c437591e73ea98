"""What is sent to the browser: contrast of the tokens, hashes of vendored files, no outside host, nothing inline."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import plotly
import pytest

ROOT = Path(__file__).resolve().parents[2]
STATIC, TEMPLATES = ROOT / "static", ROOT / "templates"
TOKENS = (STATIC / "css/tokens.css").read_text("utf-8")
SHEET = (STATIC / "css/app.css").read_text("utf-8")
PAGES = sorted(TEMPLATES.rglob("*.html"))
SCRIPTS = sorted((STATIC / "js").glob("*.js"))
BUDGET = 24_000

COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([\w-]+):\s*light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", TOKENS)
}
STATES = ("success", "failed", "running", "retry", "upstream", "deferred", "quiet")
TEXT = [
    *[(text, ground) for text in ("text", "text-quiet", "link") for ground in ("canvas", "surface", "surface-2")],
    *[(f"{state}-fg", ground) for state in STATES for ground in (f"{state}-bg", "surface", "surface-2", "canvas")],
    ("text-quiet", "window"), ("text", "window"), ("surface", "text"), ("text", "retry-bg"),
]  # fmt: skip
MARKS = [
    *[(f"{state}-mark", ground) for state in STATES for ground in ("surface", "surface-2")],
    *[(part, "surface") for part in ("line-strong", "part-wait", "part-own", "part-api", "part-endpoint", "focus")],
    ("failed-mark", "window"), ("focus", "canvas"), ("line-strong", "canvas"),
]  # fmt: skip


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT)
def test_text_can_be_read(text: str, ground: str, theme: int) -> None:
    assert contrast(COLOURS[text][theme], COLOURS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("mark", "ground"), MARKS)
def test_marks_can_be_seen(mark: str, ground: str, theme: int) -> None:
    assert contrast(COLOURS[mark][theme], COLOURS[ground][theme]) >= 3


def test_only_the_tokens_name_a_colour() -> None:
    assert (
        re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)|rgba?\(|hsl\(", re.sub(r"/\*.*?\*/", "", SHEET, flags=re.S)) == []
    )


def test_every_token_that_is_used_exists() -> None:
    known = set(re.findall(r"--([\w-]+):", TOKENS + SHEET))
    used = set(re.findall(r"var\(--([\w-]+)", TOKENS + SHEET))
    used |= set(re.findall(r'"var\(--([\w-]+)\)"', (ROOT / "dashboards/charts.py").read_text("utf-8")))
    assert used <= known


def test_both_sheets_fit_the_budget() -> None:
    assert len(TOKENS.encode()) + len(SHEET.encode()) <= BUDGET


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_short_and_reach_nobody(script: Path) -> None:
    text = script.read_text("utf-8")
    assert len(text.splitlines()) < 80
    assert not re.search(r"https?://|\beval\(|innerHTML|new Function|document\.write", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_a_template_has_nothing_inline_and_no_outside_host(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"<style\b", text)
    assert not re.search(r"\son[a-z]+\s*=\s*[\"']", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"'](?:https?:)?//", text)
    assert "|safe" not in text
    assert "autoescape off" not in text


def test_no_python_of_the_pages_marks_data_safe() -> None:
    for path in sorted((ROOT / "dashboards").rglob("*.py")):
        assert "mark_safe" not in path.read_text("utf-8"), path


def test_htmx_attributes_stand_where_they_are_used() -> None:
    """Nothing is inherited, so that htmx 4 can take its place."""
    for page in PAGES:
        for tag in re.findall(r"<[a-z]+[^>]*\bhx-(?!swap-oob)[^>]*>", page.read_text("utf-8")):
            assert "hx-get" in tag or "hx-post" in tag, (page, tag)


def test_icons_that_are_asked_for_exist() -> None:
    sprite = (STATIC / "img/icons.svg").read_text("utf-8")
    known = set(re.findall(r'id="i-([\w-]+)"', sprite))
    asked = {name for page in PAGES for name in re.findall(r'{% icon "([\w-]+)"', page.read_text("utf-8"))}
    from dashboards.plots.parts import TRY_ICONS

    assert asked | set(TRY_ICONS.values()) <= known


VENDORED = tomllib.loads((STATIC / "vendor/VENDOR.toml").read_text("utf-8"))["file"]


@pytest.mark.parametrize("entry", VENDORED, ids=lambda entry: entry["package"])
def test_vendored_files_are_the_ones_named(entry: dict[str, str]) -> None:
    folder = STATIC / "vendor" / f"{entry['package']}-{entry['version']}"
    for file, digest in ((entry["file"], "sha256"), (entry["licence_file"], "licence_sha256")):
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == entry[digest]


def test_nothing_is_vendored_that_is_not_named() -> None:
    folders = {path.name for path in (STATIC / "vendor").iterdir() if path.is_dir()}
    assert folders == {f"{entry['package']}-{entry['version']}" for entry in VENDORED}


def test_the_browser_draws_with_the_version_that_tests_validate_with() -> None:
    (entry,) = [entry for entry in VENDORED if entry["package"] == "plotly.js-basic-dist-min"]
    with (Path(plotly.__file__).parent / "package_data/plotly.min.js").open(encoding="utf-8") as file:
        carried = file.read(200)
    assert re.search(r"plotly\.js v(\S+)", carried)[1] == entry["version"]  # type: ignore[index]
    assert f"-{entry['version']}/" in (TEMPLATES / "dashboards/page.html").read_text("utf-8")
