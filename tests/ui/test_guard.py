"""Who may look, and what browsers may do with the answers."""

import pytest

pytest.importorskip("starlette")
pytest.importorskip("jinja2")

from starlette.testclient import TestClient

from runstore.ui import application

OURS = "http://127.0.0.1:7420"


@pytest.fixture
def client(store):
    """Give a browser that has not been here before."""
    return TestClient(application(store, token="secret-token"), base_url=OURS)


def test_nobody_looks_without_the_token(client):
    """Neither without one nor with another one; every page says how to get in."""
    for path in ("/", "/ns/dev", "/raw/ns/dev/run/r/o/x.png", "/search?q=x", "/?token=other"):
        answer = client.get(path)
        assert 401 == answer.status_code
        assert "runstore ui" in answer.text
    client.cookies.set("runstore_7420", "other")
    assert 401 == client.get("/").status_code


def test_the_token_is_in_the_address_once(client):
    """It is moved into a cookie that scripts and other sites cannot use."""
    answer = client.get("/search?q=x&token=secret-token", follow_redirects=False)
    assert (303, "/search?q=x") == (answer.status_code, answer.headers["location"])
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert 200 == client.get("/").status_code


def test_an_address_with_the_token_leads_to_no_other_host(client):
    """Two slashes at its beginning would name another host."""
    answer = client.get(f"{OURS}//evil.example/?token=secret-token", follow_redirects=False)
    assert not answer.headers["location"].startswith("//")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:7420", "", "[::1"])
def test_names_that_lead_here_are_not_served(client, host):
    """A foreign page whose name leads to this computer gets nothing, even with the token."""
    answer = client.get("/?token=secret-token", headers={"host": host})
    assert 421 == answer.status_code


@pytest.mark.parametrize("host", ["127.0.0.1:7420", "localhost:7420", "[::1]:7420", "10.0.0.7"])
def test_numbers_and_localhost_are_served(client, host):
    """No foreign name can be one of these."""
    answer = client.get("/?token=secret-token", headers={"host": host}, follow_redirects=False)
    assert 303 == answer.status_code


def test_the_name_that_was_printed_is_served(store):
    """Where the server listens for other computers, by the name of its own."""
    app = application(store, token="secret-token", host="Lab-7")
    client = TestClient(app, base_url="http://lab-7:7420")
    assert 200 == client.get("/?token=secret-token").status_code


def test_the_view_is_read_only(client):
    """No method that could change anything is answered."""
    client.get("/?token=secret-token")
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert 405 == client.request(method, "/").status_code


def test_every_answer_forbids_what_is_not_needed(client):
    """Scripts of ours alone, no other host, no frame around it, nothing kept."""
    for path in ("/", "/nothing", "/static/ui.css", "/?token=secret-token", "/search"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert ("nosniff", "no-referrer") == (
            headers["x-content-type-options"],
            headers["referrer-policy"],
        )
    assert "no-store" == client.get("/").headers["cache-control"]


def test_static_files_are_a_fixed_few(client):
    """No path leads out of their folder."""
    assert 200 == client.get("/static/htmx.min.js").status_code
    for name in ("nothing.css", "..%2f__init__.py", "htmx.LICENSE.txt"):
        assert 404 == client.get(f"/static/{name}").status_code


def test_without_a_token_everybody_on_this_computer_looks(store):
    """Where that was asked for."""
    client = TestClient(application(store, token=None), base_url=OURS)
    assert 200 == client.get("/").status_code
