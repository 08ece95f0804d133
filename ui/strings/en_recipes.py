"""What the page says about opening results, copying a request and links in English."""

from ui.strings.recipes import RecipeTexts

RECIPE_TEXTS = RecipeTexts(
    open="Open a result…",
    open_help="Take the settings out of a video, picture or JSON file; or drop one anywhere on the page.",
    drop="Drop a result to take its settings",
    opening="Opening {name}",
    opened="These are the settings of {name}.",
    missing="Not on this machine:",
    too_large="{name} is larger than {size} MiB; open its JSON file or a smaller export instead.",
    not_uploaded="{name} could not be read; check that it is a file and that the studio is still running.",
    copy_cli="Copy as CLI",
    copy_cli_help="The command that makes the same on this machine, to the byte where the seed is fixed.",
    copy_python="Copy as Python",
    copy_python_help="The same in Python.",
    copy_link="Copy link",
    copy_link_help="An address that fills the form so; pictures and videos stay here.",
    of_result="CLI, Python, link",
    copied="Copied.",
    copy_by_hand="The browser keeps the clipboard closed here; copy it by hand:",
    close="Close",
    link_ignored="Left out of the link: {names}.",
    link_no_job="The job of this link is not on this machine; it may have been deleted.",
)
