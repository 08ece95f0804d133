"""Names of files that a person has put into one of the studio's folders."""

from __future__ import annotations

_LONGEST = 240


def is_file_name(name: str, suffixes: tuple[str, ...]) -> bool:
    """Whether it names a file with one of these endings, perhaps in a sub-folder, and never leads out."""
    return (
        name.endswith(suffixes)
        and len(name) <= _LONGEST
        and not any(char < " " or char in '\\:<>"|?*' or 0xD800 <= ord(char) <= 0xDFFF for char in name)
        and all(word.strip(". ") for word in name.split("/"))
    )
