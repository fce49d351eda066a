"""What people come for, from the first click to the last."""

from __future__ import annotations

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


def test_a_dropped_file_becomes_a_product(mesh, tmp_path):
    path = tmp_path / "Bike Trips.csv"
    path.write_text("Trip Id,Minutes\n1,5\n2,7\n")
    with mesh.visit("olga") as page:
        page.goto("/new")
        page.locator("#files").set_input_files(path)
        page.get_by_role("textbox", name="Name of minutes").fill("duration")
        page.get_by_role("textbox", name="Description of minutes").fill("In minutes")
        assert page.get_by_label("Name", exact=True).input_value() == "bike_trips"
        page.get_by_label("Description", exact=True).fill("Trips")
        page.get_by_role("button", name="Make the product").click()
        page.wait_for_url("**/products/bike_trips")
    rows = cli_json("query", "select trip_id, duration from bike_trips.bike_trips", home=mesh.home)["rows"]
    assert sorted(rows) == [[1, 5], [2, 7]]


def test_a_refused_file_says_what_is_wrong_and_keeps_what_was_typed(mesh, tmp_path):
    path = tmp_path / "broken.csv"
    path.write_text("a,b\n1,2\n3\n")
    with mesh.visit("olga") as page:
        page.goto("/new")
        page.get_by_label("Description", exact=True).fill("Kept")
        page.locator("#files").set_input_files(path)
        page.get_by_role("alert").wait_for()
        assert page.get_by_label("Description", exact=True).input_value() == "Kept"


def test_nothing_typed_is_lost_when_a_session_ends(mesh):
    with mesh.visit("carl") as page:
        page.goto("/requests/new?product=crews")
        page.get_by_label("What do you need it for?").fill("A long and thoughtful purpose")
        page.context.clear_cookies()
        page.get_by_role("button", name="Ask the owners").click()
        page.get_by_label("Token").fill(mesh.tokens["carl"])
        page.get_by_role("button", name="Sign in").click()
        assert page.get_by_label("purpose").input_value() == "A long and thoughtful purpose"
        page.get_by_role("button", name="Send it now").click()
        page.wait_for_url("**/requests?done=requested*")
        page.get_by_role("button", name="Withdraw").click()


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
