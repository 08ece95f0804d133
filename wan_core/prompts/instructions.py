"""What a language model is told, and what is made of its answer."""

from __future__ import annotations

import re

from wan_core.schema import EnhancementFailed

LONGEST_IDEA = 8000
MAX_TOKENS = 400
"""Of the answer; a prompt of 110 words has about 150, and some models think first."""

_LONGEST_ANSWER = 6000

_INSTRUCTIONS = (
    "You write prompts for a model that makes silent video clips of about five seconds, in a single shot. "
    "You are given an idea. Keep each subject, action, number, colour and name in it. Add what one would "
    "see: looks and movements of the subject, the place, the light, the camera and how it moves, the style. "
    "No cuts, no sounds, no speech, no written words that the idea does not ask for. Write one paragraph of "
    "60 to 110 words in the language of the idea. Copy anything like {a|b} or __name__ letter by letter. "
    "Answer with the paragraph and nothing else."
)
_PICTURED = (
    " The clip begins with a given picture that you cannot see: write of movements and of the camera, and "
    "do not invent what the picture looks like."
)
_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_LABEL = re.compile(r"^(here is .{0,60}?|(rewritten |enhanced )?prompt)\**\s*:\**\s*", re.IGNORECASE)
_QUOTES = (('"', '"'), ("“", "”"), ("'", "'"), ("「", "」"))


def messages_for(idea: str, has_picture: bool = False) -> list[dict[str, str]]:
    """The conversation that asks for a prompt, in the form that chat models take.

    Raises:
        EnhancementFailed: there is no idea, or it is as long as a story.
    """
    idea = idea.strip()
    if not idea:
        raise EnhancementFailed("Write an idea first; a few words are enough.")
    if len(idea) > LONGEST_IDEA:
        raise EnhancementFailed(f"The prompt has {len(idea)} characters; shorten it to {LONGEST_IDEA}.")
    system = _INSTRUCTIONS + (_PICTURED if has_picture else "")
    return [{"role": "system", "content": system}, {"role": "user", "content": idea}]


def tidy_answer(text: str) -> str:
    """The prompt in an answer: without thoughts, labels, quotes and line breaks.

    Raises:
        EnhancementFailed: nothing is left.
    """
    text = _THOUGHT.sub("", text).replace("\0", "").strip()
    text = text.removeprefix("```text").strip("` \n*")
    text = _LABEL.sub("", " ".join(text.split()))
    for before, after in _QUOTES:
        if len(text) > 2 and text.startswith(before) and text.endswith(after):
            text = text[1:-1].strip()
    text = text.encode("utf-8", "ignore").decode()[:_LONGEST_ANSWER]
    if not text:
        raise EnhancementFailed("The language model wrote nothing; try again, or choose another one.")
    return text
