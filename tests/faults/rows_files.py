"""Rows 16 to 26: files of others."""

from __future__ import annotations

from tests.faults.row import EVERY, Row

FILES: tuple[Row, ...] = (
    Row(
        16,
        "A playlist (HLS, DASH, concat) or a QuickTime reference under the name of a video",
        "one sentence; nothing else is opened",
        (
            "tests/media/test_hostile.py::test_a_playlist_opens_nothing",
            "tests/media/test_hostile.py::test_a_movie_that_points_elsewhere_opens_nothing",
            "tests/media/test_hostile.py::test_the_demuxer_and_the_decoders_are_pinned",
            "tests/faults/test_corpus.py::test_every_file_is_refused_in_a_sentence_or_harmless",
        ),
        EVERY,
    ),
    Row(
        17,
        "A small video that unfolds into gigabytes",
        "refused by width, height and frames before it is decoded, within a second",
        (
            "tests/media/test_hostile.py::test_a_video_bomb_is_refused_before_it_is_decoded",
            "tests/media/test_hostile.py::test_a_gap_of_hours_costs_no_memory",
            "tests/media/test_hostile.py::test_frames_beyond_the_largest_are_not_decoded",
            "tests/media/test_hostile.py::test_too_many_packets_are_refused",
            "tests/faults/test_corpus.py::test_no_file_keeps_anybody_busy",
            "tests/faults/test_corpus.py::test_memory_stays_bounded",
        ),
        EVERY,
    ),
    Row(
        18,
        "A small picture that unfolds into gigabytes",
        "refused above 40 megapixels",
        (
            "tests/media/test_read_image.py::test_sizes_that_no_model_can_use_are_refused",
            "tests/faults/test_corpus.py::test_every_file_is_refused_in_a_sentence_or_harmless",
            "tests/faults/test_corpus.py::test_memory_stays_bounded",
            "tests/faults/test_drawing.py::test_what_is_no_layer_paints_nothing",
        ),
        EVERY,
    ),
    Row(
        19,
        "Media that are cut short, empty, of odd colours, without pictures; a decoder that hangs or dies",
        "one sentence; a decoder is killed after 20 seconds",
        (
            "tests/media/test_hostile.py::test_a_decoder_that_hangs_is_killed",
            "tests/media/test_hostile.py::test_damaged_pictures_are_one_sentence",
            "tests/media/test_hostile.py::test_damaged_videos_are_one_sentence",
            "tests/media/test_read_video.py::test_sound_only_is_refused",
            "tests/faults/test_corpus.py::test_every_file_is_refused_in_a_sentence_or_harmless",
            "tests/faults/test_confined.py::test_a_picture_that_ends_its_decoder_is_one_sentence",
            "tests/faults/test_confined.py::test_a_video_decoder_that_dies_is_one_sentence",
            "tests/faults/test_confined.py::test_what_a_limit_or_a_crash_ends_is_replaced",
            "tests/faults/test_fuzz.py::test_damaged_files_are_refused_or_read",
        ),
        EVERY,
    ),
    Row(
        20,
        "Code in a pickle (.pth, .pt, old format, wrong name)",
        "one sentence; it is never run",
        (
            "tests/manager/test_checkpoint_file.py::test_code_in_a_pickle_is_never_run",
            "tests/faults/test_corpus.py::test_nothing_is_run_and_nothing_left_behind",
            "tests/faults/test_loaders.py::test_a_loader_is_called_only_where_it_may_be",
            "tests/faults/test_loaders.py::test_pickles_are_loaded_with_weights_only",
        ),
        EVERY,
    ),
    Row(
        21,
        "A .pth of 2 KB that claims 10¹⁵ numbers",
        "refused: numbers times their size exceed the file",
        (
            "tests/manager/test_checkpoint_file.py::test_tensors_that_claim_more_than_the_file_has_are_refused",
            "tests/faults/test_corpus.py::test_every_file_is_refused_in_a_sentence_or_harmless",
        ),
        EVERY,
    ),
    Row(
        22,
        "A safetensors header that lies",
        "one sentence; at most 8 MB and 20,000 tensors are looked at",
        (
            "tests/manager/test_checkpoint_file.py::test_a_lying_safetensors_header_is_refused",
            "tests/manager/test_checkpoint_file.py::test_a_giant_header_is_refused_unread",
            "tests/faults/test_corpus.py::test_every_file_is_refused_in_a_sentence_or_harmless",
            "tests/faults/test_fuzz.py::test_damaged_files_are_refused_or_read",
        ),
        EVERY,
    ),
    Row(
        23,
        "A file cut short while it is mapped",
        "the worker dies, the job fails in one sentence",
        (
            "tests/faults/test_cut_while_mapped.py::test_the_reader_dies_and_the_next_one_says_why",
            "tests/faults/test_cut_while_mapped.py::test_a_job_that_meets_it_twice_fails_in_one_sentence_and_the_next_runs",
        ),
        EVERY,
    ),
    Row(
        24,
        "A GGUF header that lies",
        "one sentence within 2 seconds and 200 MB",
        (
            "tests/manager/test_gguf_file.py::test_hostile_files_are_refused",
            "tests/faults/test_corpus.py::test_every_file_is_refused_in_a_sentence_or_harmless",
            "tests/faults/test_corpus.py::test_no_file_keeps_anybody_busy",
            "tests/faults/test_confined.py::test_what_a_limit_or_a_crash_ends_is_replaced",
        ),
        EVERY,
    ),
    Row(
        25,
        "A LoRA of another model, or without effect",
        "refused with both sizes, or told how much of it matched",
        (
            "tests/lora/test_wearing.py::test_a_lora_of_another_width_is_refused_with_both_widths",
            "tests/lora/test_wearing.py::test_a_lora_of_another_family_is_refused_though_a_part_is_called_alike_and_fits",
            "tests/lora/test_wearing.py::test_what_cannot_be_used_is_left_out_with_its_reason",
            "tests/lora/test_jobs.py::test_a_file_of_another_family_is_refused_before_anything_is_computed",
            "tests/faults/test_corpus.py::test_every_file_is_refused_in_a_sentence_or_harmless",
        ),
        EVERY,
    ),
    Row(
        26,
        "A shard missing or cut short; a web page or a Git LFS pointer in place of weights",
        "the file is named, and how to get it again",
        (
            "tests/manager/test_checkpoint_file.py::test_what_is_no_checkpoint_is_named",
            "tests/manager/test_checkpoint_file.py::test_a_truncated_file_of_either_format_is_refused",
            "tests/manager/test_weights.py::test_a_damaged_index_is_named",
            "tests/faults/test_corpus.py::test_every_file_is_refused_in_a_sentence_or_harmless",
        ),
        EVERY,
    ),
)
