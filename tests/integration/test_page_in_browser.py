"""The page of a run in a browser: nothing fails, nothing is loaded, and it works by keyboard on any screen."""

import shutil

import pytest

from tests.integration.report_runs import HOSTILE, hostile, page_of, typical

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
WIDE = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """Files of pages, as addresses: a typical run, a hostile one, and one where nothing can be drawn."""
    folder = tmp_path_factory.mktemp("pages")
    pages = {
        "typical": page_of(typical()),
        "hostile": page_of(hostile()),
        "undrawn": page_of(hostile(), lambda trace, drift: None),
    }
    for name, html in pages.items():
        (folder / f"{name}.html").write_text(html, "utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in pages}


@pytest.fixture
def visit(browser, addresses):
    """Opens a page; at the end it had no errors and asked for nothing but its own file."""
    contexts, faults, asked = [], [], []

    def opened(name="typical", anchor="", **options):
        context = browser.new_context(**{"viewport": WIDE, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append("a dialog opened"), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url.partition("#")[0]))
        page.goto(addresses[name] + anchor)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []
    assert set(asked) <= set(addresses.values()) | {"data:,"}


def focused(page):
    """The name of the row that has the focus."""
    return page.evaluate("document.activeElement.querySelector('.name')?.title")


def rows(page):
    return page.locator(".layers tbody tr")


def status(page):
    return page.locator(".tools [role=status]").inner_text()


def test_a_click_on_a_test_opens_its_model_and_back_returns_to_it(visit):
    page = visit()

    page.get_by_role("link", name="t.py::test_resnet50").click()

    assert page.url.endswith("#model-resnet50")
    assert page.get_by_role("heading", level=1).inner_text() == "ResNet"
    assert "25,557,032" in page.locator(".numbers").inner_text()
    page.go_back()
    page.wait_for_function("document.activeElement.textContent === 't.py::test_resnet50'")
    assert page.locator("#overview").is_visible()


def test_every_model_opens_by_its_address(visit):
    page = visit(anchor="#model-vit_b_16")
    title = page.get_by_role("heading", level=1)
    assert title.inner_text() == "VisionTransformer"

    for key, name in (("densenet121", "DenseNet"), ("partial", "Net")):
        page.evaluate(f"location.hash = '#model-{key}'")
        page.wait_for_function(f"document.getElementById('model-title').textContent === '{name}'")
        assert page.title() == f"{name} · Architecture report"


def test_an_address_of_no_model_shows_the_tests(visit):
    page = visit(anchor="#model-nothing")
    assert page.locator("#tests").is_visible()

    for anchor in ("#model-%", "#else"):
        page.evaluate(f"location.hash = '{anchor}'")
        assert page.locator("#tests").is_visible()


def test_the_filter_leaves_the_tests_that_fit(visit):
    page = visit()

    page.keyboard.press("/")
    page.keyboard.type("vit arch_depth")
    assert page.locator(".test:visible").count() == 1
    page.keyboard.press("Escape")
    assert page.locator(".test:visible").count() == 6
    page.get_by_role("radio", name="partial").check()
    assert page.locator(".test:visible").all_inner_texts()[0].startswith("passed")
    assert page.locator("#shown").inner_text() == "1 of 6 tests"


def test_statements_that_do_not_hold_are_seen_at_once(visit):
    page = visit()

    assert page.get_by_text("counted from shapes").is_visible()
    assert page.get_by_text("1 of 2 statements violated · snapshot drifted").is_visible()


def test_the_search_finds_a_layer_and_enter_shows_it_in_the_tree(visit):
    page = visit(anchor="#model-resnet50")

    page.keyboard.press("/")
    page.keyboard.type("4.CONV2 layer3")
    assert rows(page).count() == 1
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")

    assert focused(page) == "layer3.4.conv2"
    assert page.locator("#search").input_value() == ""
    assert page.locator("[aria-selected=true]").get_attribute("aria-level") == "4"


def test_runs_of_blocks_open_and_close_by_keyboard(visit):
    page = visit(anchor="#model-resnet50")
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    assert focused(page) == "conv1"

    for _ in range(6):
        page.keyboard.press("ArrowDown")
    run = page.locator(":focus")
    assert run.locator(".name").inner_text().replace("\n", "").endswith("layer1.{1,2} ×2")
    assert run.get_attribute("aria-expanded") == "false"
    page.keyboard.press("ArrowRight")
    assert page.locator(":focus").get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowRight")
    assert focused(page) == "layer1.1"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.locator(":focus").get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    assert page.locator(":focus").get_attribute("aria-expanded") == "true"
    page.keyboard.press("End")
    assert focused(page) == "fc"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.id") == "search"


def test_tab_comes_to_one_row_of_the_table(visit):
    page = visit(anchor="#model-resnet50")
    page.keyboard.press("/")

    for _ in range(3):
        page.keyboard.press("Tab")

    assert focused(page) == "conv1"
    assert page.locator(".layers tbody [tabindex='0']").count() == 1


def test_escape_in_the_search_shows_the_tree_again(visit):
    page = visit(anchor="#model-resnet50")
    before = rows(page).count()

    page.locator("#search").fill("downsample")
    assert rows(page).count() != before
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")

    assert rows(page).count() == before
    assert page.evaluate("document.activeElement.id") == "search"


def test_no_more_rows_than_a_few_hundred_are_in_a_document_of_a_large_model(visit):
    page = visit(anchor="#model-efficientnet_b7")
    assert rows(page).count() < 60

    page.get_by_role("button", name="Open all").click()
    assert rows(page).count() == 200
    assert status(page).startswith("first 200 of 1,")
    page.locator("#search").fill("conv2d")
    assert rows(page).count() == 200
    page.get_by_role("button", name="Show 200 more").click()
    assert rows(page).count() > 200
    page.locator("#search").fill("conv2d features.7")
    assert rows(page).count() < 200


def test_a_layer_that_was_counted_leads_to_its_row(visit):
    page = visit(anchor="#model-resnet50/depth")
    assert page.evaluate("document.activeElement.id") == "depth"

    page.get_by_text("stage 4: 9").click()
    page.get_by_role("button", name="layer4.2.conv3").click()

    assert focused(page) == "layer4.2.conv3"
    assert "counted" in page.locator(":focus").get_attribute("class")


def test_a_drift_is_shown_before_and_after(visit):
    page = visit(anchor="#model-resnet50")

    first = page.locator(".lines tr:has(.old)").first
    assert "".join(first.locator(".old mark").all_inner_texts()).startswith("stride=(2, 2), ")
    assert first.locator(".new mark").all_inner_texts() == ["56,", "56] ", "102760448"]
    assert page.locator(".lines tr:has(.old) .new").first.inner_text().startswith("layer2.0.conv1 Conv2d(")
    assert "behaviour" in page.locator(".causes").inner_text()
    assert "4,089,184,256" in page.locator(".totals .changed").inner_text()
    assert page.locator(".lines .gap").first.inner_text().endswith("equal lines")


def test_the_graph_is_a_drawing_in_the_page(visit):
    page = visit(anchor="#model-resnet50")

    assert page.locator(".drawing svg title").text_content() == "199 calls, drifted"


def test_without_graphviz_the_page_says_how_to_get_it(visit):
    page = visit("undrawn")
    page.locator("#tests th a").click()

    assert 'pip install "pytest-archcheck[graph]"' in page.locator(".part:has(#graph)").inner_text()


def test_a_partial_count_is_partial_everywhere(visit):
    page = visit(anchor="#model-partial")

    assert "partial: mystery not counted" in page.locator(".numbers").inner_text()
    assert "not counted" in rows(page).nth(1).inner_text()
    assert "Never called: never" in page.locator("#model").inner_text()


def test_hostile_names_stay_text(visit):
    page = visit("hostile")
    page.locator("#tests th a").click()

    assert page.get_by_role("heading", level=1).inner_text() != ""
    assert page.locator("img").count() == 0
    page.locator("#search").fill("onerror")
    assert rows(page).first.locator(".name").get_attribute("title") == HOSTILE
    for details in page.locator("details").all():
        details.evaluate("element => { element.open = true; }")
    assert page.locator("img").count() == 0


def test_the_theme_is_the_systems_until_it_is_chosen(visit):
    page = visit(color_scheme="dark")

    def background():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert background() == "rgb(21, 24, 29)"
    page.get_by_role("button", name="Light theme").click()
    assert background() == "rgb(255, 255, 255)"
    page.reload()
    assert background() == "rgb(255, 255, 255)"
    assert page.get_by_role("button", name="Dark theme").is_visible()


@pytest.mark.parametrize("anchor", ["", "#model-resnet50", "#model-vit_b_16", "#model-partial"])
def test_a_narrow_screen_scrolls_no_page_sideways(visit, anchor):
    """A width of 360 px, and of 640 px, which is a screen of 1280 px at 200 %."""
    page = visit(anchor=anchor)

    for width in (640, 360):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_skip_link_keeps_the_view(visit):
    page = visit(anchor="#model-vit_b_16")

    page.locator(".skip").focus()
    page.keyboard.press("Enter")

    assert page.url.endswith("#model-vit_b_16")
    assert page.evaluate("document.activeElement.id") == "main"


def test_without_scripts_the_tests_are_there(visit):
    page = visit(java_script_enabled=False)

    assert page.locator(".test:visible").count() == 6
    assert page.get_by_text("arch_macs('3.86G')").is_visible()
    assert page.locator("noscript p").is_visible()
    assert not page.locator("#filter").is_visible()


def test_on_paper_there_are_no_controls(visit):
    page = visit(anchor="#model-resnet50")

    page.emulate_media(media="print", color_scheme="dark")

    assert not page.locator("#theme").is_visible()
    assert not page.locator("#search").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
