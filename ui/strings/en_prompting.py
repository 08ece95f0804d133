"""The sentences about prompts in English."""

from ui.strings.prompting import PromptingTexts

PROMPTING_TEXTS = PromptingTexts(
    presets="Presets",
    presets_help="A preset sets everything of this tab but the prompt, the seed and the files given.",
    no_presets="None yet: set the form as you like it, and save it under a name.",
    preset_name="Name of a preset",
    save="Save",
    saved="Saved as “{name}”.",
    applied="The form is set as in “{name}”.",
    export="Export all",
    import_="Import",
    imported="{presets} presets and {styles} styles are here now.",
    delete="Delete {name}",
    confirm_delete="Delete “{name}” for good?",
    deleted="“{name}” is deleted.",
    styles="Styles",
    styles_help="A style puts its words into the prompt, where you see them; a second click takes them out.",
    put_on="Put “{name}” around the prompt: {words}",
    take_off="Take “{name}” off the prompt",
    style_name="Name of a style",
    style_words="{prompt}, in soft morning light",
    style_negative="What it keeps away from: {prompt}, harsh shadows",
    new_style="A style of your own",
    wildcards="Wildcards",
    wildcards_help=(
        "{a|b} takes a or b by the seed, so another seed makes another picture; __name__ takes a "
        "line of the file name.txt. A finished video tells the words that were drawn."
    ),
    wildcards_folder="Files go into {folder}.",
    enhance="Enhance",
    enhance_help="{who} writes the prompt out: more to see, move and light. You decide what is used.",
    enhance_off="Choose in Settings who writes prompts out: a language model here, or an endpoint of yours.",
    enhancing="Writing…",
    stop="Stop",
    offered="What {who} makes of it:",
    use="Use it",
    discard="Discard",
    undo="Undo",
    used="The prompt was replaced.",
    one_prompt="This writes out one prompt; switch off one video for each line first.",
    tokens="{count} of {limit} tokens",
    tokens_about="≈{count} of {limit} tokens",
    tokens_help="How much of what the model can read the prompt takes.",
    too_long="The model reads the first {limit} of {count} tokens; what comes after them changes nothing.",
    images="Several first pictures: each begins a video of its own",
    writer="Writing prompts out",
    writer_help=(
        "Enhance, below a prompt, asks a language model to say more. Nothing is asked, sent or downloaded "
        "until you choose one here."
    ),
    writer_kinds={
        "off": "Off",
        "local": "A model on this machine",
        "endpoint": "An OpenAI-compatible endpoint",
    },
    writer_folder="Model",
    writer_folder_help=(
        "A folder with config.json, a tokenizer and .safetensors, or a model that is in the Hugging Face "
        "cache already. It runs on the CPU, and its memory is free again after each prompt."
    ),
    writer_url="Address",
    writer_url_help="Such as http://127.0.0.1:11434/v1; your prompts are sent there.",
    writer_model="Model at the endpoint",
    writer_key="Key",
    writer_key_help="Kept in a file that only you can read, sent to this address alone, never shown again.",
    writer_key_kept="A key is kept. Leave this empty to keep it.",
    writer_forget_key="Forget the key",
    writer_seconds="Seconds to wait",
    writer_plain="This address is not encrypted: whoever is on the way can read your prompts and the key.",
    writer_saved="Saved; it counts at once.",
)
