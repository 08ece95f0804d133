"""The queue and the history in the browser: order, changes, pauses, searching, marks, undoing."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.jobs.conftest import wait_for
from tests.ui.conftest import OpenPage, Studio
from tests.ui.fake import FAILING_PROMPT
from tests.ui.test_page import generate, wait_until_done
from wan_core.jobs.job import JobStatus
from wan_core.media.moving import moving_path


def open_history(page: Page) -> None:
    page.get_by_role("tab", name="Queue & History").click()


def rows(page: Page) -> list[str]:
    return page.locator("#history .row .prompt").all_inner_texts()


def choose_in_menu(page: Page, where: str, words: str, item: str) -> None:
    card = page.locator(where, has_text=words)
    card.locator("summary").click()
    card.get_by_role("button", name=item, exact=True).click()


def test_the_queue_is_put_in_order_changed_and_paused(studio: Studio, open_page: OpenPage) -> None:
    store = studio.context.store
    store.pause()
    page = open_page(studio.address)
    page.locator("#form-seed input").fill("1")
    page.get_by_role("button", name="Sampling").click()
    page.get_by_label("One video for each line of the prompt").check()
    generate(page, "job 1\njob 2\n\njob 3")
    open_history(page)
    expect(page.locator("#history .paused span")).to_have_text("Paused: nothing begins until you resume.")
    expect(page.locator("#history .row .prompt")).to_have_text(["job 1", "job 2", "job 3"])

    page.locator("#history .row", has_text="job 3").get_by_role("button", name="Earlier").click()
    expect(page.locator("#history .row .prompt")).to_have_text(["job 1", "job 3", "job 2"])
    expect(page.locator("#history .row", has_text="job 3").locator(".up")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#history .row .prompt")).to_have_text(["job 3", "job 1", "job 2"])
    page.locator("#history .row", has_text="job 2").drag_to(
        page.locator("#history .row", has_text="job 3"), target_position={"x": 60, "y": 2}
    )
    wait_for(lambda: [job.request.prompt for job in store.queue()] == ["job 2", "job 3", "job 1"])

    choose_in_menu(page, "#history .row", "job 3", "Once more with a new seed")
    expect(page.locator("#history .row .prompt")).to_have_text(["job 2", "job 3", "job 3", "job 1"])
    assert [job.request.seed == 1 for job in store.queue()] == [True, True, False, True]

    choose_in_menu(page, "#history .row", "job 1", "Edit")
    expect(page.locator("#form-notice .note")).to_contain_text("You are changing a waiting video.")
    expect(page.locator("#form-prompt textarea")).to_have_value("job 1")
    page.locator("#form-prompt textarea").fill("job 1, changed")
    expect(page.locator("#form-notice .leave-editing")).to_be_visible()
    page.click("#form-generate")
    expect(page.locator("#form-notice .note")).to_have_text("Saved; it keeps its place in the queue.")
    assert [job.request.prompt for job in store.queue()] == ["job 2", "job 3", "job 3", "job 1, changed"]
    assert store.queue()[-1].request.seed == 1

    open_history(page)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel all").click()
    expect(page.locator("#history .row")).to_have_count(0)
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#history .paused")).to_be_hidden()
    assert not store.is_paused() and store.queue() == []


def moves_under_the_mouse(page: Page, card: Locator) -> None:
    """Its picture becomes the moving one, and still again."""
    image = card.locator("img")
    still = image.get_attribute("src")
    card.locator(".open").hover()
    page.wait_for_function(
        "() => [...document.querySelectorAll('#history .card img')].some("
        "(image) => image.src.includes('.moving.webp') && image.complete && image.naturalWidth)"
    )
    page.mouse.move(0, 0)
    expect(image).to_have_attribute("src", still)


def test_the_history_is_searched_marked_and_deleted_with_a_way_back(
    studio: Studio, open_page: OpenPage
) -> None:
    store = studio.context.store
    store.pause(False)
    page = open_page(studio.address)
    for prompt in ("a red fox", "a blue whale", FAILING_PROMPT):
        generate(page, prompt)
        wait_for(lambda prompt=prompt: prompt in [job.request.prompt for job in store.list()])
        wait_until_done(page, "failed" if prompt == FAILING_PROMPT else "done")
    open_history(page)
    fox = page.locator("#history .card", has_text="a red fox")
    job = next(job for job in store.list() if job.request.prompt == "a red fox")
    assert moving_path(job.result.video).is_file()
    moves_under_the_mouse(page, fox)

    choose_in_menu(page, "#history .card", FAILING_PROMPT, "Show log")
    expect(page.locator("#history dialog pre")).to_contain_text("another seed")
    page.get_by_role("button", name="Close", exact=True).last.click()

    fox.get_by_role("button", name="Make a favourite").click()
    expect(fox.get_by_role("button", name="No longer a favourite")).to_be_visible()
    fox.locator("summary").click()
    fox.locator(".tag-input input").fill("Animals, snow")
    page.keyboard.press("Enter")
    expect(fox.locator(".tags button")).to_have_text(["animals", "snow"])
    page.get_by_role("button", name="Favourites only").click()
    expect(page.locator("#history .card .prompt")).to_have_text(["a red fox"])
    page.get_by_role("button", name="Show all").click()

    page.get_by_role("searchbox", name="Search").fill("WHALE blue")
    expect(page.locator("#history .card .prompt")).to_have_text(["a blue whale"])
    expect(page.locator("#history .found")).to_have_text("1 found")
    page.get_by_role("searchbox", name="Search").fill("nothing like it")
    expect(page.locator("#history .nothing.past")).to_have_text(
        "Nothing here fits. Try fewer words, or show all."
    )
    page.get_by_role("searchbox", name="Search").fill("")

    choose_in_menu(page, "#history .card", "a red fox", "Delete")
    expect(fox).to_have_count(0)
    assert store.get(job.id) is None and Path(job.result.video).is_file()
    page.get_by_role("button", name="Undo").click()
    expect(fox).to_have_count(1)
    assert store.get(job.id).status is JobStatus.DONE and store.get(job.id).tags == ("animals", "snow")
