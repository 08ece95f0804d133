"""What can go wrong or be done to the studio, row by row, and the tests that prove what it then does.

``docs/reliability.md`` is made of this list: ``python -m tests.faults.reliability_page`` writes it anew, and
``test_rows.py`` holds that every test is there and that the page says what stands here.

To add a proof: the test's id into ``tests`` of its row, the mode it runs in into ``modes``. A row whose code
lies below the gate, the same whoever sits before the browser, is proved in ``EVERY`` mode by one test.
"""

from __future__ import annotations

from dataclasses import dataclass

LOCAL, AUTH, PUBLIC = "local", "auth", "public"
EVERY = (LOCAL, AUTH, PUBLIC)


@dataclass(frozen=True)
class Row:
    """A fault or an attack.

    Attributes:
        number: of the row, 1 to 42.
        case: what happens or is done.
        promise: what the studio then does.
        tests: ids of the tests that prove it, ``file::function``.
        modes: in which these tests hold: this machine alone, behind a login, open to everybody.
        gap: what is not proved, in a sentence; empty where nothing is known to be missing.
    """

    number: int
    case: str
    promise: str
    tests: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    gap: str = ""


ROWS: tuple[Row, ...] = (
    Row(
        1,
        "A path out of the folders asked of the file route, in 30 spellings",
        "403 without the path",
        (
            "tests/faults/test_attacks.py::test_1_no_path_leads_out_of_the_served_folders",
            "tests/ui/test_server.py::test_only_outputs_previews_and_inputs_are_served",
        ),
        EVERY,
    ),
    Row(
        2,
        "A text of a person given back as a file",
        "files are named by the job, and the working folder is empty",
        ("tests/faults/test_attacks.py::test_2_no_text_becomes_a_file",),
        EVERY,
        "Listeners that take the whole form are left out.",
    ),
    Row(
        3,
        "A made-up path or address where an upload belongs",
        "refused before anything is opened or fetched",
        (
            "tests/faults/test_attacks.py::test_3_no_made_up_file_is_opened_or_fetched",
            "tests/ui/test_endpoints.py::test_files_come_by_upload_only",
        ),
        EVERY,
    ),
    Row(
        4,
        "Routes that fetch for others, or hand video to ffmpeg",
        "404",
        (
            "tests/faults/test_attacks.py::test_4_what_nobody_needs_is_not_there",
            "tests/ui/test_server.py::test_the_gate_closes_what_nobody_needs",
        ),
        EVERY,
    ),
    Row(
        5,
        "A request from a foreign page",
        "403",
        (
            "tests/faults/test_attacks.py::test_5_other_sites_are_refused",
            "tests/ui/test_server.py::test_a_share_page_takes_no_uploads_from_other_sites",
            "tests/ui/test_server.py::test_the_gate_closes_what_nobody_needs",
        ),
        EVERY,
    ),
    Row(
        6,
        "A foreign name that leads to this machine (DNS rebinding)",
        "421",
        (
            "tests/faults/test_attacks.py::test_6_foreign_names_are_not_answered",
            "tests/ui/test_server.py::test_only_names_of_this_machine_are_answered",
            "tests/ui/test_server.py::test_the_host_of_a_share_link_is_answered_once_it_is_open",
            "tests/ui/test_server.py::test_the_gate_closes_what_nobody_needs",
        ),
        EVERY,
    ),
    Row(
        7,
        "Listening to others without a login",
        "refused unless `--public` is said",
        (
            "tests/faults/test_hosting.py::test_a_public_bind_without_a_word_gets_a_password_that_is_printed_once",
            "tests/faults/test_hosting.py::test_a_space_starts_open_to_all_with_limits",
            "tests/ui/test_server.py::test_a_page_for_others_gets_a_fresh_password",
        ),
        EVERY,
    ),
    Row(
        8,
        "Guessing the password",
        "429 after ten tries a minute",
        ("tests/faults/test_attacks.py::test_8_passwords_cannot_be_guessed",),
        EVERY,
    ),
    Row(
        9,
        "Reading or stopping another's job",
        "404",
        (
            "tests/faults/test_attacks.py::test_9_anothers_job_is_nobodys",
            "tests/jobs/test_visitors.py::test_a_visitor_sees_own_jobs_alone",
            "tests/ui/test_public_page.py::test_a_visitor_uploads_makes_reopens_and_nobody_else_sees_it",
            "tests/ui/test_gate.py::test_a_visitor_keeps_the_cookie_and_gets_files_of_that_browser_alone",
            "tests/jobs/test_visitors.py::test_what_is_done_to_anothers_job_is_not_done",
            "tests/jobs/test_store.py::test_ids_cannot_be_guessed_and_unknown_ones_are_nothing",
        ),
        EVERY,
        "Whoever has the login shares one history with all who have it.",
    ),
    Row(
        10,
        "A flood of jobs",
        "429, and memory stays flat",
        (
            "tests/faults/test_attacks.py::test_10_a_flood_leaves_memory_flat",
            "tests/jobs/test_visitors.py::test_a_job_too_many_is_refused",
            "tests/jobs/test_visitors.py::test_a_full_queue_takes_nobody_else",
        ),
        EVERY,
        "Jobs of a public page are refused in a sentence of the page; 429 is for its requests.",
    ),
    Row(
        11,
        "A giant body or name, or one that drips in",
        "413 or 408 before it is parsed",
        (
            "tests/faults/test_attacks.py::test_11_giants_and_drips_are_refused",
            "tests/ui/test_server.py::test_a_body_too_large_is_refused_before_it_is_read",
            "tests/ui/test_server.py::test_only_an_upload_may_be_as_large_as_a_video",
        ),
        EVERY,
        "Headers that drip in are the web server's.",
    ),
    Row(
        12,
        "A flood of uploads",
        "507 beyond the room that uploads have; old ones are cleared away",
        ("tests/faults/test_attacks.py::test_12_uploads_have_a_room_and_no_more",),
        EVERY,
    ),
    Row(
        13,
        "HTML in prompts, names, metadata, LoRAs",
        "shown as text",
        (
            "tests/ui/test_markup.py::test_markup_is_shown_as_text",
            "tests/ui/test_html.py::test_words_of_others_are_escaped_everywhere",
            "tests/ui/test_loras.py::test_strangers_texts_stay_texts_and_other_models_loras_are_told",
        ),
        (LOCAL,),
    ),
    Row(
        14,
        "Abuse of the API or MCP",
        "four endpoints, and bounds that hold on the server",
        (
            "tests/faults/test_attacks.py::test_14_programs_find_four_endpoints_and_bounds",
            "tests/jobs/test_visitors.py::test_large_jobs_and_models_that_are_not_here_are_refused",
            "tests/ui/test_server.py::test_four_endpoints_are_public_and_nothing_else",
            "tests/ui/test_endpoints.py::test_mcp_is_never_served_behind_a_login",
            "tests/ui/test_endpoints.py::test_what_is_wrong_is_one_sentence",
        ),
        EVERY,
    ),
    Row(
        15,
        "Malformed JSON: a wrong function, NaN, half a character",
        "4xx that names the field",
        ("tests/faults/test_attacks.py::test_15_malformed_calls_are_refused_by_name",),
        EVERY,
    ),
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
    Row(
        27,
        "Frames of NaN, black, or of one colour",
        "failed with advice, never done",
        (
            "tests/test_engine.py::test_nan_at_a_step_is_a_failure_at_that_step",
            "tests/test_engine.py::test_nan_from_the_decoder_is_a_failure",
            "tests/test_engine.py::test_a_clip_of_one_colour_is_a_failure",
            "tests/faults/test_bad_frames.py::test_a_decoder_that_gives_no_picture_fails_the_job_with_advice",
            "tests/faults/test_bad_frames.py::test_a_step_that_gives_no_numbers_fails_the_job_with_advice",
        ),
        EVERY,
    ),
    Row(
        28,
        "The hub refuses, limits, drops the connection, or cannot be reached",
        "resumed, or one sentence; what is here works without it",
        (
            "tests/manager/test_download.py::test_a_refusal_says_file_and_remedy",
            "tests/manager/test_download.py::test_a_short_refusal_is_waited_out",
            "tests/manager/test_download.py::test_a_dropped_connection_is_resumed_where_it_broke",
            "tests/manager/test_download.py::test_no_network_fails_at_once_with_the_host",
            "tests/manager/test_download.py::test_everything_arrives_and_is_found_offline",
            "tests/manager/test_download.py::test_offline_is_refused_without_a_request",
            "tests/manager/test_download.py::test_a_login_page_is_no_hub",
            "tests/faults/test_supply_chain.py::test_the_login_is_in_no_log",
        ),
        EVERY,
    ),
    Row(
        29,
        "Other bytes of the same size come from the hub",
        "refused by their SHA-256 and thrown away",
        (
            "tests/manager/test_download.py::test_other_bytes_of_the_same_size_are_refused",
            "tests/manager/test_download.py::test_the_catalogs_digest_overrules_the_hubs",
            "tests/faults/test_supply_chain.py::test_what_nobody_tells_the_digest_of_is_not_fetched",
            "tests/faults/test_supply_chain.py::test_repositories_are_pinned_to_a_commit",
        ),
        EVERY,
    ),
    Row(
        30,
        "The disk fills up during a download",
        "refused before it begins, else one sentence; what came is kept",
        (
            "tests/manager/test_download.py::test_too_little_disk_is_refused_before_the_first_byte",
            "tests/manager/test_download.py::test_a_disk_that_fills_up_keeps_what_came",
        ),
        EVERY,
    ),
    Row(
        31,
        "The disk is full or read-only while a result or the database is written",
        "one sentence; latents are kept and the queue is whole",
        (
            "tests/test_engine.py::test_a_full_disk_while_writing_keeps_the_latents",
            "tests/media/test_media.py::test_a_disk_that_fills_at_any_point_leaves_all_or_nothing",
            "tests/jobs/test_database.py::test_a_full_disk_refuses_in_words_and_keeps_what_is_there",
            "tests/faults/test_every_write.py::test_a_write_that_fails_or_is_the_last_loses_nothing",
            "tests/faults/test_disks.py::test_a_full_disk_costs_the_job_a_sentence_and_the_queue_goes_on_when_there_is_room",
            "tests/faults/test_disks.py::test_a_disk_that_is_full_from_the_beginning_on",
            "tests/faults/test_disks.py::test_a_folder_that_cannot_be_used_costs_no_more_than_what_goes_there",
            "tests/faults/test_disks.py::test_settings_and_forms_that_cannot_be_written_stay_as_they_are",
            "tests/faults/test_disks.py::test_the_engine_on_a_disk_that_takes_so_many_bytes_a_file",
        ),
        EVERY,
    ),
    Row(
        32,
        "Settings or a database that are damaged or newer",
        "it starts, keeps a `.bad` copy and says so",
        (
            "tests/jobs/test_database.py::test_a_damaged_store_is_kept_aside_and_a_fresh_one_started",
            "tests/jobs/test_database.py::test_a_newer_store_is_kept_aside_untouched",
            "tests/manager/test_kept_settings.py::test_a_broken_or_newer_file_is_kept_and_defaults_serve",
            "tests/faults/test_damage.py::test_a_flipped_byte_anywhere_never_keeps_the_studio_from_starting",
            "tests/faults/test_damage.py::test_a_store_cut_anywhere_is_kept_and_another_one_started",
            "tests/faults/test_damage.py::test_settings_and_forms_flipped_or_cut_anywhere_never_keep_the_studio_from_starting",
            "tests/faults/test_damage.py::test_the_page_says_that_the_store_was_set_aside",
        ),
        EVERY,
    ),
    Row(
        33,
        "The studio is killed in the middle of a job",
        "the job runs once more, and history is whole",
        (
            "tests/jobs/test_supervisor.py::test_a_killed_studio_takes_its_worker_along_and_resumes_its_queue",
            "tests/faults/test_crashes.py::test_kills_of_worker_and_studio_lose_nothing",
            "tests/faults/test_crashes.py::test_kills_of_the_whole_app_lose_nothing",
            "tests/faults/test_failpoints.py::test_a_job_survives_the_death_of_its_process_anywhere",
            "tests/faults/test_failpoints.py::test_deleted_files_do_not_come_back_if_deleting_is_interrupted",
            "tests/jobs/test_runner.py::test_a_job_that_was_put_back_meanwhile_replaces_its_own_file",
        ),
        EVERY,
    ),
    Row(
        34,
        "The worker crashes, or is killed for memory",
        "a new one starts; a job that killed two has failed",
        (
            "tests/jobs/test_supervisor.py::test_a_job_that_kills_its_worker_once_is_done_and_twice_has_failed",
            "tests/faults/test_worker.py::test_a_worker_that_crashes_is_replaced_at_once_however_often",
            "tests/faults/test_worker.py::test_a_job_that_kills_two_workers_has_failed_and_the_next_one_is_done",
        ),
        EVERY,
    ),
    Row(
        35,
        "The card runs out of memory anywhere",
        "freed, with advice; the next job is the same as ever",
        (
            "tests/test_engine_faults.py::test_too_little_at_a_boundary_fails_in_a_sentence_and_leaves_nothing_behind",
            "tests/test_engine_faults.py::test_any_single_operation_may_fail",
            "tests/test_engine_memory.py::test_running_out_of_memory_frees_everything_and_the_next_job_is_identical",
        ),
        EVERY,
    ),
    Row(
        36,
        "Stopped while waiting, loading, denoising, encoding",
        "within a second, three seconds, or a step and a second",
        (
            "tests/test_engine.py::test_cancelling_stops_there_and_leaves_no_file",
            "tests/jobs/test_supervisor.py::test_a_running_job_is_cancelled_within_a_step",
            "tests/faults/test_worker.py::test_a_job_is_stopped_within_its_limit",
        ),
        EVERY,
    ),
    Row(
        37,
        "A storm of model changes and cancellations",
        "one after the other, and no half of a model",
        (
            "tests/faults/test_worker.py::test_a_storm_of_model_changes_and_cancellations_leaves_no_half_model",
            "tests/faults/test_worker.py::test_a_storm_of_orders_and_kills_leaves_a_queue_that_is_worked_off_in_turn",
        ),
        EVERY,
    ),
    Row(
        38,
        "The tab is closed or the connection breaks",
        "the job ends all the same and is found again",
        (
            "tests/ui/test_app.py::test_a_reload_finds_the_job_and_stop_ends_it",
            "tests/faults/test_connections.py::test_a_job_whose_asker_is_gone_before_the_answer_is_made",
            "tests/faults/test_connections.py::test_requests_that_break_off_in_the_middle_cost_nothing",
            "tests/faults/test_connections.py::test_closed_streams_of_a_page_leave_the_job_running",
        ),
        (LOCAL,),
    ),
    Row(
        39,
        "Two tabs, many people, two studios on one home",
        "nobody gets another's result; the second studio is refused in one sentence",
        (
            "tests/jobs/test_supervisor.py::test_a_second_studio_on_one_home_is_refused",
            "tests/faults/test_crashes.py::test_a_second_app_on_one_home_says_so_and_ends",
            "tests/faults/test_prompts_and_names.py::test_many_people_at_once_get_what_each_asked_for",
            "tests/jobs/test_database.py::test_a_damaged_store_in_use_is_left_where_it_is",
        ),
        EVERY,
    ),
    Row(
        40,
        "Prompts that are empty, very long, Chinese, emoji, right to left, with NUL",
        "made, with the number of words left out; NUL is refused",
        (
            "tests/models/test_prompt_text.py::test_long_prompts_are_cut_to_512_and_counted_in_full",
            "tests/test_engine.py::test_a_prompt_cut_short_is_a_warning_of_the_result",
            "tests/faults/test_prompts_and_names.py::test_any_prompt_is_made_and_found_again",
            "tests/faults/test_prompts_and_names.py::test_what_is_no_prompt_is_refused_in_a_sentence",
        ),
        EVERY,
    ),
    Row(
        41,
        "File names in Chinese, reserved, with `../`, of 300 bytes; a clock that goes back",
        "harmless, unique names; order by number, not by time",
        (
            "tests/media/test_naming.py::test_no_text_leaves_the_folder_or_upsets_a_file_system",
            "tests/media/test_naming.py::test_many_of_the_same_name_are_all_different",
            "tests/faults/test_prompts_and_names.py::test_two_hundred_results_of_one_second_have_names_of_their_own",
            "tests/faults/test_prompts_and_names.py::test_processes_never_take_the_same_name",
            "tests/faults/test_prompts_and_names.py::test_a_clock_that_goes_back_changes_no_order",
        ),
        EVERY,
    ),
    Row(
        42,
        "A ZIP that is a bomb, or names files outside its folder, or links",
        "bounded; one sentence",
        (
            "tests/faults/test_corpus.py::test_every_file_is_refused_in_a_sentence_or_harmless",
            "tests/faults/test_corpus.py::test_nothing_is_run_and_nothing_left_behind",
            "tests/faults/test_corpus.py::test_memory_stays_bounded",
        ),
        EVERY,
    ),
)


@dataclass(frozen=True)
class Figure:
    """A number that is promised, what was measured, and the command that measures it again."""

    what: str
    promised: str
    measured: str = "not yet measured"
    command: str = ""


FIGURES: tuple[Figure, ...] = (
    Figure(
        "Corpus of hostile files",
        "at least 300 files: no crash, no marker, none above 5 s, at most 512 MB more",
        "608 files at every door that they fit: no crash, no marker, none above 5 s; held in CI",
        "python -m pytest tests/faults/test_corpus.py",
    ),
    Figure(
        "Mutations",
        "20,000: no crash, none above 5 s, at most 512 MB more",
        command="python -m benchmarks.fuzz --cases 20000",
    ),
    Figure(
        "Load",
        "50 `gradio_client` and 20 raw clients, 500 jobs: none lost, submit p95 ≤ 1 s, status ≤ 0.5 s",
        command="python benchmarks/soak.py --stages load",
    ),
    Figure(
        "Crashes",
        "200 kills of the worker, 20 of the whole studio: 0 jobs and 0 results lost",
        command="python benchmarks/soak.py --stages kills app",
    ),
    Figure(
        "Recovery",
        "serving ≤ 15 s after a kill, worker back ≤ 10 s",
        command="python benchmarks/soak.py --stages kills app",
    ),
    Figure(
        "Cancellation",
        "waiting ≤ 1 s, loading ≤ 3 s, denoising ≤ one step and 1 s",
        "held by `test_worker.py`, with 2 s more for a busy machine",
        "python -m pytest tests/faults/test_worker.py -k stopped",
    ),
    Figure(
        "Leaks",
        "jobs 20 to 200: ≤ 50 MB, no more files, threads or processes; 100 model swaps ≤ 64 MB",
        command="python benchmarks/soak.py --stages jobs swaps",
    ),
    Figure(
        "Attacks",
        "150 requests in three modes: no byte of a canary, no path, no traceback, nothing sent out",
        "971, 1,008, 1,091 requests (local, auth, public): 0 canaries, paths, tracebacks, connections",
        "python -m pytest -s tests/faults/test_attacks.py",
    ),
)
