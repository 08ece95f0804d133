"""What can be tried with one click: a prompt, or where a tab needs files, files with one."""

from __future__ import annotations

from base64 import b64encode
from html import escape

from ui.making.examples import Example, inputs_for, pictures_of, prompts_for
from ui.strings import Texts
from ui.tabs.plans import TabPlan
from wan_core.catalog import ModelSpec

_LONGEST_CHIP, _LONG = 70, ' class="long"'

PICK_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button) trigger('pick', { prompt: button.title, number: Number(button.dataset.number ?? -1) });
});
"""


def examples_html(plan: TabPlan, spec: ModelSpec, texts: Texts) -> str:
    """The examples of a model in a tab as buttons; empty where there is none."""
    if plan.first:
        buttons = [_example_button(*each, texts) for each in enumerate(inputs_for(spec, plan.key))]
    else:
        buttons = [_prompt_button(prompt) for prompt in prompts_for(spec)]
    if not buttons:
        return ""
    return f'<p class="caption">{escape(texts.examples)}</p><div class="chips">{"".join(buttons)}</div>'


def _prompt_button(prompt: str) -> str:
    long = _LONG if len(prompt.encode()) > _LONGEST_CHIP else ""
    return f'<button type="button"{long} title="{escape(prompt, quote=True)}">{escape(prompt)}</button>'


def _example_button(number: int, example: Example, texts: Texts) -> str:
    pictures = "".join(
        f'<img src="data:image/png;base64,{b64encode(file.read_bytes()).decode()}" alt="">'
        for file in pictures_of(example)
    )
    words = escape(texts.said(example["title"]))
    prompt = escape(example["prompt"], quote=True)
    return f'<button type="button" data-number="{number}" title="{prompt}">{pictures}{words}</button>'
