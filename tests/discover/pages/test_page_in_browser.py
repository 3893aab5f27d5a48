"""The page in a real browser, headless, with the network refused by the page itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from searching import Stage
from test_pages import large_story, story

from discover.pages.html import page

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
OPENS_FIRST_NODE = """<script>addEventListener("load", () => {
  document.title = "opened in " + Math.round(performance.now()) + " ms";
  document.querySelector(".name").click();
  setTimeout(() => { document.body.dataset.seen =
    document.querySelector(".seen")?.textContent ?? "nothing"; }, 500);
})</script></body>"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.store.close()


def opened(text: str, folder: Path) -> str:
    """The document after its scripts ran and the first node was opened."""
    file = folder / "page.html"
    file.write_text(text.replace("</body>", OPENS_FIRST_NODE), encoding="utf-8")
    done = subprocess.run(
        [
            str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu",
            f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=4000", "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    return done.stdout


@needs_browser
@pytest.mark.slow
def test_every_node_of_a_small_search_shows_and_opens(stage: Stage, tmp_path: Path) -> None:
    text = opened(page([story(stage)], "Search of twice"), tmp_path)
    assert len(re.findall('class="row"', text)) == 6
    assert re.search('data-seen="[^"]*20.0 us', text)


@needs_browser
@pytest.mark.slow
def test_a_page_of_20_000_nodes_opens_within_three_seconds(stage: Stage, tmp_path: Path) -> None:
    large = large_story(stage)
    text = opened(page([large], "Large"), tmp_path)
    took = re.search(r"opened in (\d+) ms", text)
    assert took is not None
    print(f"\n{len(text) / 1e6:.1f} MB of page opened in {took[1]} ms")
    assert int(took[1]) < 3000
    assert 'data-seen="nothing"' not in text
