"""The SQL console as people use it: by mouse and by keyboard, with answers of every kind."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from .conftest import PHONE

HOSTILE = "</textarea><script>alert(1)</script><img src=x onerror=alert(1)>"
SLOW = "SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range * b.range % 7 = 3"
COLOUR = "found => getComputedStyle(found).color"
TYPED = "document.getElementById('sql').value"


def console(page: Page, address: str = "/query") -> Page:
    page.goto(address)
    expect(page.locator("#editor .cm-content")).to_be_visible()
    return page


def write(page: Page, sql: str) -> None:
    page.locator("#editor .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(sql)


def run(page: Page, sql: str) -> None:
    write(page, sql)
    page.keyboard.press("Control+Enter")


def take(page: Page) -> None:
    """Take what is offered; a list that has just appeared takes no keys yet, lest they were meant for the text."""
    page.wait_for_timeout(300)
    page.keyboard.press("Tab")


def cell(page: Page, row: int, column: int):
    return page.locator(f"#cell-{row}-{column}")


def test_a_statement_runs_by_keyboard_and_its_values_look_as_what_they_are(mesh):
    with mesh.visit("carl") as page:
        run(console(page), "SELECT station, speed, NULL AS nothing, 'a\nb' AS lines FROM wind.hourly LIMIT 3")
        expect(page.locator("#status")).to_contain_text("3 rows, 4 columns in")
        expect(cell(page, 0, 0)).to_have_text("s0")
        expect(cell(page, 0, 1)).to_have_css("text-align", "right")
        expect(cell(page, 0, 2)).to_have_class("grid-cell null")
        cell(page, 0, 3).dblclick()
        expect(page.locator("#value-text")).to_have_text("a\nb", use_inner_text=True)
        assert page.locator(".grid").get_attribute("aria-rowcount") == "4"


def test_a_hundred_thousand_rows_are_a_few_in_the_document(mesh):
    with mesh.visit("carl") as page:
        run(console(page), "SELECT range AS n, 'row ' || range AS name FROM range(150000)")
        expect(page.locator("#status")).to_contain_text("First 100,000 rows")
        page.locator(".grid").focus()
        page.keyboard.press("Control+End")
        expect(cell(page, 99_999, 1)).to_have_text("row 99999")
        assert page.locator(".grid").get_attribute("aria-activedescendant") == "cell-99999-1"
        assert page.locator(".grid-row").count() < 100


def test_chosen_cells_are_copied_as_a_table(mesh):
    with mesh.visit("carl", permissions=["clipboard-read", "clipboard-write"]) as page:
        run(console(page), "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, NULL ORDER BY 1")
        expect(cell(page, 1, 0)).to_have_text("2")
        page.locator(".grid").focus()
        page.keyboard.press("Control+a")
        page.keyboard.press("Control+c")
        expect(page.locator("#said")).to_have_text("Copied 4 cells")
        assert page.evaluate("navigator.clipboard.readText()") == "a\tb\n1\tx\n2\t"


def test_the_editor_offers_tables_and_their_columns(mesh):
    with mesh.visit("carl") as page:
        console(page)
        page.locator("#editor .cm-content").click()
        offered = page.locator("#editor .cm-tooltip-autocomplete li")
        page.keyboard.type("SELECT * FROM wi")
        expect(offered.first).to_contain_text("wind.hourly")
        take(page)
        page.keyboard.type(" w WHERE w.sp")
        expect(offered.first).to_contain_text("speed")
        take(page)
        assert page.evaluate(TYPED) == "SELECT * FROM wind.hourly w WHERE w.speed"


def test_words_of_sql_names_and_texts_have_colours_of_their_own(mesh):
    with mesh.visit("carl") as page:
        write(console(page), "SELECT speed FROM wind.hourly WHERE station = 'text'")
        shown = {
            word: page.locator("#editor .cm-line").get_by_text(word, exact=True).first.evaluate(COLOUR)
            for word in ("SELECT", "'text'")
        }
        plain = page.locator("#editor .cm-content").evaluate(COLOUR)
        assert len({plain, *shown.values()}) == 3


def test_a_closed_product_is_neither_offered_nor_listed(mesh):
    with mesh.visit("carl") as page:
        console(page)
        expect(page.get_by_role("treeitem", name="wind")).to_be_visible()
        expect(page.get_by_role("treeitem", name="crews")).to_have_count(0)
        run(page, "SELECT * FROM crews.duty")
        expect(page.locator("#results-fault")).to_contain_text("needs a grant")


def test_the_tree_is_searched_by_keyboard_and_writes_into_the_statement(mesh):
    with mesh.visit("carl") as page:
        write(console(page), "SELECT ")
        page.locator("#tree-filter").fill("hourly")
        speed = page.get_by_role("treeitem", name="speed")
        expect(speed).to_be_visible()
        page.locator("#tree-filter").press("ArrowDown")
        for _ in range(4):
            page.keyboard.press("ArrowDown")
        expect(speed).to_be_focused()
        page.keyboard.press("Enter")
        assert page.evaluate(TYPED) == "SELECT speed"


def test_a_fault_is_underlined_and_found(mesh):
    with mesh.visit("carl") as page:
        run(console(page), "SELECT station,\n  sped\nFROM wind.hourly")
        expect(page.locator("#results-fault")).to_contain_text("sped")
        expect(page.locator("#editor .cm-fault")).to_have_text("sped")
        page.get_by_role("button", name="Line 2, character 3").click()
        page.keyboard.press("Delete")
        assert page.evaluate(TYPED) == "SELECT station,\n  ped\nFROM wind.hourly"


def test_escape_cancels(mesh):
    with mesh.visit("carl") as page:
        run(console(page), SLOW)
        expect(page.locator("#cancel")).to_be_visible()
        expect(page.locator("#status")).to_contain_text("Running for")
        page.keyboard.press("Escape")
        expect(page.locator("#status")).to_have_text("Cancelled")
        page.get_by_role("tab", name="History").click()
        expect(page.locator(".past").first).to_contain_text("cancelled")
        run(page, "SELECT 1 AS one")
        expect(page.locator("#status")).to_contain_text("1 row")
        run(page, SLOW)
        expect(page.locator("#status")).to_contain_text("Running for")
        page.keyboard.press("Escape")
        expect(page.locator("#status")).to_have_text("Cancelled; these are the rows from before")


def test_an_answer_is_drawn_and_its_figures_are_a_table(mesh):
    with mesh.visit("carl") as page:
        run(console(page), "SELECT station, avg(speed) AS speed FROM wind.hourly GROUP BY 1 ORDER BY 1")
        page.get_by_role("tab", name="Chart").click()
        expect(page.get_by_role("img", name="bar chart: speed by station")).to_be_visible()
        expect(page.locator(".chart-bar")).to_have_count(7)
        page.locator("#chart-kind").select_option("line")
        expect(page.locator(".chart-path")).to_have_count(1)
        page.get_by_text("The figures as a table").click()
        expect(page.locator("#chart-points tr")).to_have_count(7)


@pytest.mark.parametrize("format", ["CSV", "Parquet", "Arrow"])
def test_the_whole_answer_is_downloaded(mesh, format):
    with mesh.visit("carl") as page:
        write(console(page), "SELECT * FROM wind.hourly")
        page.locator("summary", has_text="Download").click()
        # It comes in a tab that closes at once, and counts for the one it was asked in.
        with page.expect_download() as coming:
            page.get_by_role("button", name=format).click()
        assert coming.value.suggested_filename.endswith(f".{format.lower()}")
        assert Path(coming.value.path()).stat().st_size > 500
        assert page.evaluate(TYPED) == "SELECT * FROM wind.hourly"


def test_a_link_fills_the_editor_runs_nothing_and_loses_nothing(mesh):
    with mesh.visit("carl", permissions=["clipboard-read", "clipboard-write"]) as page:
        write(console(page), "SELECT 'mine'")
        page.reload()
        expect(page.locator("#editor .cm-content")).to_have_text("SELECT 'mine'")
        ran = []
        page.on("request", lambda request: ran.append(request.url) if "/query/run" in request.url else None)
        console(page, "/query?sql=" + quote("SELECT 'by a link'"))
        expect(page.locator("#editor .cm-content")).to_have_text("SELECT 'by a link'")
        expect(page.locator("#results-empty")).to_be_visible()
        page.get_by_role("button", name="Share").click()
        expect(page.locator("#said")).to_contain_text("does not run it")
        assert page.evaluate("navigator.clipboard.readText()") == f"{mesh.url}/query?sql=SELECT+%27by+a+link%27"
        page.locator("#editor .cm-content").click()
        page.keyboard.press("Control+z")
        expect(page.locator("#editor .cm-content")).to_have_text("SELECT 'mine'")
        assert ran == []


def test_a_session_that_ended_costs_nothing_that_was_typed(mesh):
    with mesh.visit("carl") as page:
        write(console(page), "SELECT 42 AS answer")
        page.context.clear_cookies()
        page.keyboard.press("Control+Enter")
        page.locator("#again-token").fill(mesh.tokens["carl"])
        page.keyboard.press("Enter")
        expect(cell(page, 0, 0)).to_have_text("42")


def test_who_signs_in_after_another_does_not_see_their_statement(mesh):
    with mesh.visit("olga") as page:
        write(console(page), "select 'of olga'")
        page.reload()
        expect(page.locator("#editor")).to_contain_text("of olga")
        mesh.sign_in(page.context, "carl")
        page.reload()
        expect(page.locator("#editor .cm-content")).to_be_visible()
        expect(page.locator("#editor")).not_to_contain_text("of olga")
        assert "of olga" not in page.evaluate("JSON.stringify(sessionStorage)")


def test_signing_out_leaves_nothing_that_was_typed(mesh):
    with mesh.visit("olga") as page:
        write(console(page), "select 'of olga'")
        page.locator("summary", has_text="Account of olga").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        assert "of olga" not in page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")


def test_nothing_that_comes_back_can_run(mesh):
    with mesh.visit("carl") as page:
        ran = []
        page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
        console(page, "/query?sql=" + quote(HOSTILE))
        run(page, f"SELECT '{HOSTILE}' AS \"{HOSTILE}\", 5 AS n")
        expect(cell(page, 0, 0)).to_have_text(HOSTILE)
        page.get_by_role("tab", name="Chart").click()
        expect(page.locator(".chart-bar")).to_have_count(1)
        run(page, f'SELECT "{HOSTILE}"')
        expect(page.locator("#fault-detail")).to_contain_text(HOSTILE)
        page.get_by_role("tab", name="History").click()
        expect(page.locator(".past").first).to_contain_text(HOSTILE)
        assert page.locator("main img, main script").count() == 0
        assert ran == []


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [{"width": 1280, "height": 800}, PHONE], ids=["desk", "phone"])
def test_everybody_can_use_what_comes_back(mesh, axe, colours, size):
    with mesh.visit("carl", color_scheme=colours, viewport=size, reduced_motion="reduce") as page:
        run(console(page), "SELECT station, avg(speed) AS speed FROM wind.hourly GROUP BY 1 ORDER BY 1")
        expect(cell(page, 0, 0)).to_have_text("s0")
        assert axe(page) == []
        page.get_by_role("tab", name="Chart").click()
        expect(page.locator(".chart-bar").first).to_be_visible()
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        run(page, "SELECT nothing")
        expect(page.locator("#results-fault")).to_be_visible()
        assert axe(page) == []


def test_without_scripts_it_is_a_form_and_a_table(mesh):
    with mesh.visit("carl", java_script_enabled=False) as page:
        page.goto("/query")
        page.get_by_role("textbox", name="Statement").fill("SELECT station FROM wind.hourly ORDER BY hour LIMIT 2")
        page.get_by_role("button", name="Run").click()
        expect(page.locator("tbody tr")).to_have_count(2)
