"""What people come for, from the first click to the last."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.integration.running import cli_json


def test_a_stranger_signs_in_and_lands_where_they_wanted(mesh):
    with mesh.visit() as page:
        page.goto("/products/wind")
        page.get_by_label("Token").fill("not a token")
        page.get_by_role("button", name="Sign in").click()
        assert "not valid" in page.get_by_role("alert").inner_text()
        page.get_by_label("Token").fill(mesh.tokens["carl"])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/products/wind")
        page.locator("summary", has_text="Account of carl").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        page.goto("/products/wind")
        assert page.get_by_role("heading", name="Sign in").is_visible()


def test_products_are_found_as_one_types(mesh):
    with mesh.visit("carl") as page:
        page.goto("/")
        page.get_by_role("searchbox").fill("hourl")
        page.get_by_role("link", name="wind").wait_for()
        page.wait_for_url("**/?q=hourl")
        page.reload()
        assert page.get_by_role("link", name="wind").is_visible()


def test_finds_are_narrowed_down_ordered_and_a_slip_is_told(mesh):
    with mesh.visit("carl") as page:
        page.goto("/")
        found = page.get_by_role("list").locator(".result h2")
        assert {"wind", "crews"} <= set(found.all_inner_texts())
        page.get_by_role("navigation", name="Narrow down").get_by_role("link", name="on request").click()
        page.wait_for_url("**access=request*")
        assert "wind" not in found.all_inner_texts()
        page.get_by_role("searchbox").fill("crws")
        page.get_by_text("Showing results for crews").wait_for()
        assert found.all_inner_texts() == ["crews"]
        assert "access=request" in page.url, "what was chosen goes with the next words"
        page.get_by_role("link", name="on request remove").click()
        page.wait_for_url(lambda address: "access=" not in address)
        page.goto("/?q=hour")
        page.get_by_role("navigation", name="Order").get_by_role("link", name="Name").click()
        page.wait_for_url("**sort=name*")
        assert found.all_inner_texts() == ["crews", "wind"]


def test_every_way_to_read_a_product_is_copied_as_it_stands(mesh):
    with mesh.visit("carl", permissions=["clipboard-read", "clipboard-write"]) as page:
        page.goto("/products/wind")
        for way in ("SQL", "Python", "pandas", "DuckDB", "curl", "JDBC"):
            page.locator(".ways label").get_by_text(way, exact=True).click()
            shown = page.locator(".way:visible code")
            assert "wind" in shown.inner_text()
            page.get_by_role("button", name=f"Copy {way}").click()
            page.wait_for_function(
                "text => navigator.clipboard.readText().then((copied) => copied === text)", arg=shown.text_content()
            )


def test_what_a_product_holds_comes_as_one_looks(mesh, axe):
    with mesh.visit("carl") as page:
        page.goto("/products/wind")
        charts = page.locator("#columns-hourly .spread svg")
        charts.first.scroll_into_view_if_needed()
        assert charts.count() > 0
        page.locator("summary", has_text="Sample rows").click()
        page.get_by_role("region", name="Sample rows of hourly").wait_for()
        assert page.get_by_role("region", name="Lineage, drawn").get_by_role("link", name="stations").is_visible()
        page.wait_for_load_state("networkidle")
        assert axe(page) == []


def test_access_is_asked_for_and_decided(mesh):
    with mesh.visit("carl") as page:
        page.goto("/requests/new?product=crews")
        page.get_by_label("What do you need it for?").fill("The yearly plan")
        page.get_by_role("button", name="Ask the owners").click()
        page.wait_for_url("**/requests?done=requested*")
        assert "You asked for crews" in page.get_by_role("status").first.inner_text()
    with mesh.visit("olga") as page, mesh.visit("olga") as other:
        for tab in (page, other):
            tab.goto("/requests")
            assert tab.get_by_text("The yearly plan").is_visible()
        for tab in (page, other):
            tab.get_by_role("button", name="Approve carl for crews").click()
            tab.wait_for_url("**/requests?done=approved*")
        page.get_by_role("button", name="Take back crews of carl").click()
        page.wait_for_url("**/requests?done=revoked*")


def test_a_request_is_denied_with_a_reason_that_reaches_who_asked(mesh):
    cli_json("request", "crews", "--purpose", "Out of interest", "--as", "carl", home=mesh.home)
    with mesh.visit("olga") as page:
        page.goto("/requests")
        page.locator("summary", has_text="Deny").click()
        page.get_by_role("button", name="Deny with this reason").click()
        assert page.url.endswith("/requests"), "a reason is needed"
        page.get_by_label("Why? carl reads this.").fill("Ask for a month of it")
        page.get_by_role("button", name="Deny with this reason").click()
        page.wait_for_url("**/requests?done=denied*")
    with mesh.visit("carl") as page:
        page.goto("/requests")
        assert page.get_by_text("Ask for a month of it").is_visible()


def test_an_administrator_puts_a_team_of_others_right(mesh):
    cli_json("team", "create", "winds", "--domain", "weather", "--as", "olga", home=mesh.home)
    with mesh.visit("carl") as page:
        page.goto("/teams/winds")
        assert page.get_by_label("Add a colleague").count() == 0
    with mesh.visit("admin") as page:
        page.goto("/teams/winds")
        page.get_by_label("Add a colleague").fill("carl")
        page.get_by_label("leads the team, too").check()
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("button", name="Remove olga").click()
        page.get_by_role("button", name="Remove olga").wait_for(state="detached")
    (team,) = [each for each in cli_json("team", "list", home=mesh.home)["items"] if each["name"] == "winds"]
    assert team["members"] == ["carl"]


def test_a_file_is_taken_where_it_is_dropped(mesh):
    with mesh.visit("olga") as page:
        page.goto("/new")
        carried = page.evaluate_handle(
            """() => {
              const carried = new DataTransfer();
              carried.items.add(new File(["Trip Id,Minutes\\n1,5\\n"], "Dropped Trips.csv", {type: "text/csv"}));
              return carried;
            }"""
        )
        page.locator("form[data-handing-in]").dispatch_event("drop", {"dataTransfer": carried})
        page.get_by_role("textbox", name="Name of minutes").wait_for()
        expect(page.get_by_label("Name", exact=True)).to_have_value("dropped_trips")


def test_a_dropped_file_becomes_a_product(mesh, tmp_path):
    path = tmp_path / "Bike Trips.csv"
    path.write_text("Trip Id,Minutes\n1,5\n2,7\n")
    with mesh.visit("olga") as page:
        page.goto("/new")
        page.locator("#files").set_input_files(path)
        page.get_by_role("textbox", name="Name of minutes").fill("duration")
        page.get_by_role("textbox", name="Description of minutes").fill("In minutes")
        name = page.get_by_label("Name", exact=True)
        expect(name).to_have_value("bike_trips")
        name.fill("Bike Trips")
        assert not name.evaluate("field => field.validity.valid")
        name.fill("bike_trips")
        page.get_by_label("Description", exact=True).fill("Trips")
        page.get_by_role("button", name="Make the product").click()
        page.wait_for_url("**/products/bike_trips")
    rows = cli_json("query", "select trip_id, duration from bike_trips.bike_trips", home=mesh.home)["rows"]
    assert sorted(rows) == [[1, 5], [2, 7]]


# As a German Excel saves it: semicolons, decimal commas, points in thousands and days, Windows' own letters.
GERMAN = '''Kunde;Umsatz;Menge;Datum;Stand;Rabatt;Notiz
"Müller; Söhne";1.234,50;1.200;31.12.2025;1.2.2026 09:30;k.A.;
Weiß;-7,25;900;01.02.2025;2.2.2026 10:00;0,5;3,5 Kisten
"Äpfel ""frisch""";99;12.000;28.02.2025;3.2.2026 11:15;1,5;a, b
'''


def test_a_file_as_a_german_spreadsheet_saves_it_is_taken(mesh, tmp_path):
    path = tmp_path / "absatz.csv"
    path.write_bytes(GERMAN.replace("\n", "\r\n").encode("cp1252"))
    with mesh.visit("olga") as page:
        page.goto("/new")
        page.locator("#files").set_input_files(path)
        page.get_by_role("textbox", name="Name of kunde").wait_for()
        told = page.locator("[data-rewritten]").inner_text()
        assert "semicolons" in told
        assert "1234.5 in: Umsatz, Menge." in told
        assert "2025-12-31 in: Datum, Stand." in told
        page.get_by_label("Description", exact=True).fill("Absatz")
        page.get_by_role("button", name="Make the product").click()
        page.wait_for_url("**/products/absatz")
        page.goto("/products/absatz/publish")
        page.locator("#files").set_input_files(path)
        page.locator("[data-rewritten]").get_by_text("semicolons").wait_for()
        page.get_by_role("button", name="Publish").click()
        page.get_by_text("Nothing was published: p1 has this data already.").wait_for()
    sql = "select kunde, umsatz, menge, datum, stand::varchar, rabatt, notiz from absatz.absatz order by menge"
    assert cli_json("query", sql, home=mesh.home)["rows"] == [
        ["Weiß", -7.25, 900, "2025-02-01", "2026-02-02 10:00:00", "0,5", "3,5 Kisten"],
        ["Müller; Söhne", 1234.5, 1200, "2025-12-31", "2026-02-01 09:30:00", "k.A.", None],
        ['Äpfel "frisch"', 99.0, 12000, "2025-02-28", "2026-02-03 11:15:00", "1,5", "a, b"],
    ]


PLAIN = 'a,b;c,d\r\n1.234,"2,5",31.12.2025\n'
IN_COMMAS = {
    "plain": (PLAIN.encode(), None),
    "utf-8": (f"{PLAIN}K\ufffdln,,\n".encode(), None),
    "windows": (f"{PLAIN}Köln,“5 €”,\n".encode("cp1252"), f"{PLAIN}Köln,“5 €”,\n".encode()),
    "damaged": (f"{PLAIN}Köln,".encode() + b"K\xf6ln,\n", None),
    "utf-16": (PLAIN.replace(",", "\t").encode("utf-16"), None),
    "no-text": (b"PK\x03\x04\x00\x00\t;\xff\n", None),
}


@pytest.mark.parametrize("kind", IN_COMMAS)
def test_a_file_with_commas_is_sent_as_it_is_but_for_windows_letters(mesh, tmp_path, kind):
    content, wanted = IN_COMMAS[kind]
    path = tmp_path / "plain.csv"
    path.write_bytes(content)
    with mesh.visit("olga") as page:
        page.goto("/products/wind/publish")
        page.locator("#files").set_input_files(path)
        page.wait_for_timeout(300)
        read = "async () => [...new Uint8Array(await document.querySelector('#files').files[0].arrayBuffer())]"
        assert bytes(page.evaluate(read)) == (wanted or content)
        told = page.locator("[data-rewritten]")
        assert told.is_hidden() if wanted is None else "is in Windows' letters" in told.inner_text()


def test_a_refused_file_says_what_is_wrong_and_keeps_what_was_typed(mesh, tmp_path):
    path = tmp_path / "broken.csv"
    path.write_text("a,b\n1,2\n3\n")
    with mesh.visit("olga") as page:
        page.goto("/new")
        page.get_by_label("Description", exact=True).fill("Kept")
        page.locator("#files").set_input_files(path)
        page.get_by_role("alert").wait_for()
        assert page.get_by_label("Description", exact=True).input_value() == "Kept"


def test_nothing_typed_is_lost_when_a_session_ends(mesh, axe):
    with mesh.visit("carl") as page:
        page.goto("/requests/new?product=crews")
        page.get_by_label("What do you need it for?").fill("A long and thoughtful purpose")
        page.context.clear_cookies()
        page.get_by_role("button", name="Ask the owners").click()
        page.get_by_label("Token").fill(mesh.tokens["carl"])
        page.get_by_role("button", name="Sign in").click()
        assert page.get_by_label("purpose").input_value() == "A long and thoughtful purpose"
        assert axe(page) == []
        page.get_by_role("button", name="Send it now").click()
        page.wait_for_url("**/requests?done=requested*")
        page.get_by_role("button", name="Withdraw").click()
        page.wait_for_url("**/requests?done=revoked*")  # nobody else asks while this is open


def test_a_session_that_ends_beside_a_dropped_file_is_renewed_in_place(mesh, tmp_path):
    path = tmp_path / "late.csv"
    path.write_text("a\n1\n")
    with mesh.visit("olga") as page:
        page.goto("/new")
        page.get_by_label("Description", exact=True).fill("Kept")
        page.context.clear_cookies()
        page.locator("#files").set_input_files(path)
        page.get_by_role("heading", name="Your session has ended").wait_for()
        page.get_by_label("Token").fill(mesh.tokens["olga"])
        page.get_by_role("button", name="Sign in").click()
        page.locator("#found table").wait_for()
        assert page.get_by_label("Description", exact=True).input_value() == "Kept"


def test_a_team_is_started_and_a_token_made(mesh):
    with mesh.visit("carl") as page:
        page.goto("/teams")
        page.get_by_label("Name").fill("callers")
        page.get_by_label("Domains").fill("calls")
        page.get_by_role("button", name="Start it").click()
        page.wait_for_url("**/teams/callers")
        page.get_by_label("Add a colleague").fill("olga")
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("button", name="Remove olga").wait_for()
        page.goto("/tokens")
        page.get_by_role("button", name="Make it").click()
        assert page.locator("#token-text").inner_text().count(".") == 2
