"""Generated pages are what the code says."""

import re
from pathlib import Path

import pytest

from seqtrust.documentation import TABLES, pages

REPOSITORY = Path(__file__).parents[2]
FOLDERS = (".", "docs", "config")
PAGES = pages(REPOSITORY / "config/schemas/config.schema.json")


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    found = (REPOSITORY / "docs" / name).read_text()
    assert found == PAGES[name], "run `make docs`"


def test_every_column_has_a_meaning() -> None:
    for schema in TABLES:
        for column in schema.columns:
            assert column.description, f"{schema.name}.{column.name}"


def test_links_between_pages_lead_somewhere() -> None:

    for page in [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/*.md"),
        *REPOSITORY.glob("config/*.md"),
    ]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
